"""The catalogue: what may be sold (``registry``), our plans, and the versions of their prices."""

from saas.billing.catalogue.seeding import seed_plans, seed_yearly_prices

__all__ = ["seed_plans", "seed_yearly_prices"]
