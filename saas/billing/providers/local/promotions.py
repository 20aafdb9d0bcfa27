"""Discounts at the local provider, in Stripe's shape, from the promotion codes of our catalogue."""

from datetime import datetime
from typing import Any

from saas.billing.models import PromotionCode
from saas.billing.providers.interface import ProviderRefused
from saas.billing.providers.local import objects
from saas.ids import new_id


def new_discount(promotion_code_id: str, at: datetime) -> dict[str, Any]:
    """The discount that the code gives from ``at`` on. Raises ``ProviderRefused`` for a code that is not there."""
    code = PromotionCode.objects.filter(pk=promotion_code_id).first()
    if code is None:
        raise ProviderRefused("There is no such promotion code.")
    months = code.duration_months if code.duration == PromotionCode.Duration.REPEATING else None
    return {
        "id": new_id("di"),
        "object": "discount",
        "coupon": _coupon(code),
        "promotion_code": code.pk,
        "start": objects.timestamp(at),
        "end": objects.timestamp(objects.add_months(at, months)) if months else None,
    }


def _coupon(code: PromotionCode) -> dict[str, Any]:
    return {
        "id": f"coupon_{code.pk}",
        "object": "coupon",
        "name": code.name or code.code,
        "percent_off": None if code.percent_off is None else float(code.percent_off),
        "amount_off": code.amount_off_cents,
        "currency": code.currency or None,
        "duration": code.duration,
        "duration_in_months": code.duration_months,
        "valid": True,
    }
