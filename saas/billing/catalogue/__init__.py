"""The catalogue: what may be sold (``limits_and_features``), our plans, and the versions of their prices."""

from saas.billing.catalogue.seeding import seed_plans, seed_yearly_prices

__all__ = ["seed_plans", "seed_yearly_prices"]
