"""The coupon behind a promotion code of ours, at Stripe."""

from stripe.params import CouponCreateParams

from saas.billing.models import PromotionCode

LONGEST_COUPON_NAME = 40  # Stripe takes no longer one


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
