"""The coupon behind a promotion code of ours, and the code itself, at Stripe."""

from typing import Any

import stripe
from stripe.params import CouponCreateParams, PromotionCodeCreateParams

from saas.billing.models import PromotionCode
from saas.billing.providers.stripe.answers import brief_key, rows
from saas.billing.sync.stripe_objects import id_of

LONGEST_COUPON_NAME = 40  # Stripe takes no longer one
SUFFIX_LENGTH = 8


def find_or_create(client: stripe.V1Services, code: PromotionCode) -> tuple[str, str]:
    """The ids of the promotion code and of its coupon. A call that was never answered may have made them, and Stripe refuses a
    second active code of the same name: it is looked for by our id, which it carries. Where an active code of that
    name at Stripe is not ours, ours gets a suffix there: customers enter their code here, not at Stripe. Raises Stripe's
    errors."""
    for name in (code.code, f"{code.code}-{code.pk.rpartition('_')[2][-SUFFIX_LENGTH:]}"):
        there = list(rows(client.promotion_codes.list({"code": name, "limit": 100})))
        if ours := next((row for row in there if _is_ours(row, code)), None):
            return str(ours["id"]), id_of((ours.get("promotion") or {}).get("coupon"))
        if not any(row.get("active") for row in there):
            break
    coupon_id = _ensure_coupon(client, code)
    key = brief_key(f"promotion_code:{code.pk}:{name}")
    made = client.promotion_codes.create(_creation_params(code, coupon_id, name), {"idempotency_key": key})
    return str(made.id), coupon_id


def _is_ours(there: dict[str, Any], code: PromotionCode) -> bool:
    return (there.get("metadata") or {}).get("promotion_code_id") == code.pk


def _ensure_coupon(client: stripe.V1Services, code: PromotionCode) -> str:
    """Coupons have ids that we choose, so that a repeated call finds them."""
    id = f"saas_{code.pk}"
    try:
        return str(client.coupons.retrieve(id).id)
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise
    wanted: CouponCreateParams = {"id": id, **coupon_params(code)}
    return str(client.coupons.create(wanted, {"idempotency_key": brief_key(f"coupon:{code.pk}")}).id)


def _creation_params(code: PromotionCode, coupon_id: str, name: str) -> PromotionCodeCreateParams:
    wanted: PromotionCodeCreateParams = {
        "promotion": {"type": "coupon", "coupon": coupon_id},
        "code": name,
        "metadata": {"promotion_code_id": code.pk},
    }
    if code.max_redemptions:
        wanted["max_redemptions"] = code.max_redemptions
    if code.expires_at:
        wanted["expires_at"] = int(code.expires_at.timestamp())
    return wanted


def coupon_params(code: PromotionCode) -> CouponCreateParams:
    wanted: CouponCreateParams = {
        "duration": PromotionCode.Duration(code.duration).value,
        "name": (code.name or code.code)[:LONGEST_COUPON_NAME],
    }
    if code.percent_off is not None:
        wanted["percent_off"] = float(code.percent_off)
    else:
        wanted["amount_off"], wanted["currency"] = code.amount_off_cents or 0, code.currency
    if code.duration_months:
        wanted["duration_in_months"] = code.duration_months
    return wanted
