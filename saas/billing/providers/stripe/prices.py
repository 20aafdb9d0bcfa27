"""Prices at Stripe: what they are created with, and the key that finds them again."""

from stripe.params import PriceCreateParams

from saas.billing.models import Interval, Plan, PriceTerms


def price_params(plan: Plan, terms: PriceTerms, version: int, product_id: str) -> PriceCreateParams:
    return {
        "product": product_id,
        "currency": terms.currency,
        "unit_amount": terms.unit_amount_cents,
        "recurring": {"interval": "year" if terms.interval == Interval.YEAR else "month"},
        "lookup_key": lookup_key(plan, terms, version),
        "transfer_lookup_key": True,
        "metadata": {"plan_id": plan.pk},
    }


def lookup_key(plan: Plan, terms: PriceTerms, version: int) -> str:
    """Unique at Stripe, and the same for the same terms: a price never changes."""
    key = f"saas:{plan.pk}:{terms.currency}:{terms.unit_amount_cents}:{terms.interval}"
    return f"{key}:{version}" if version else key
