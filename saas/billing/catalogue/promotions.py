"""Making promotion codes, ending them, and finding the one that a customer has entered."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from saas.audit.actions import record
from saas.billing import clock
from saas.billing.models import Checkout, Owner, PromotionCode
from saas.billing.models.customers import owned_by_person, person_of
from saas.billing.models.promotions import in_capitals
from saas.errors import DomainError, Invalid
from saas.money import is_known_currency

_CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{0,63}")
LONGEST_MONTHS = 60
MOST_REDEMPTIONS = 1_000_000


class PromotionCodeExists(DomainError):
    code, title = "promotion_code_exists", "There is a promotion code like this already."  # 409


def draft_promotion_code(
    code: str,
    *,
    duration: str,
    percent_off: Decimal | None = None,
    amount_off_cents: int | None = None,
    currency: str = "",
    duration_months: int | None = None,
    max_redemptions: int | None = None,
    expires_at: datetime | None = None,
    name: str = "",
) -> PromotionCode:
    """The row that ``create_promotion_code`` would save. Raises ``PromotionCodeExists``, ``Invalid``."""
    row = PromotionCode(
        code=in_capitals(code),
        name=name,
        percent_off=percent_off,
        amount_off_cents=amount_off_cents,
        currency=currency.lower(),
        duration=duration,
        duration_months=duration_months,
        max_redemptions=max_redemptions,
        expires_at=expires_at,
    )
    if wrong := _faults(row):
        raise Invalid(errors=wrong)
    if PromotionCode.objects.by_code(row.code).exists():
        raise PromotionCodeExists
    return row


@transaction.atomic
def create_promotion_code(code: str, *, by: str, reason: str = "", **terms: Any) -> PromotionCode:
    """With the ``terms`` of ``draft_promotion_code``, and its refusals. At Stripe it is created with its first use."""
    row = draft_promotion_code(code, **terms)
    row.save(force_insert=True)
    record(
        "promotion_code.created",
        actor=by,
        target=row.pk,
        reason=reason,
        code=row.code,
        off=row.off,
        duration=row.duration,
    )
    return row


def _faults(row: PromotionCode) -> dict[str, list[str]]:
    """What is wrong, by field."""
    is_repeating = row.duration == PromotionCode.Duration.REPEATING
    months = row.duration_months
    rules = {
        "code": (_CODE.fullmatch(row.code), "Use up to 64 letters, digits and hyphens."),
        "duration": (row.duration in PromotionCode.Duration.values, "Choose once, repeating or forever."),
        "duration_months": (
            1 <= (months or 0) <= LONGEST_MONTHS if is_repeating else months is None,
            f"A repeating discount lasts 1 to {LONGEST_MONTHS} months; the others name none.",
        ),
        "percent_off": (
            (row.percent_off is None) != (row.amount_off_cents is None)
            and (row.percent_off is None or 0 < row.percent_off <= 100),
            "Give either a percentage above 0, up to 100, or an amount.",
        ),
        "amount_off_cents": (row.amount_off_cents is None or row.amount_off_cents > 0, "Give an amount above nothing."),
        "currency": (
            is_known_currency(row.currency) if row.amount_off_cents is not None else not row.currency,
            "An amount has a currency, a percentage has none.",
        ),
        "max_redemptions": (
            row.max_redemptions is None or 0 < row.max_redemptions <= MOST_REDEMPTIONS,
            f"Give a number from 1 to {MOST_REDEMPTIONS:,}.",
        ),
        "expires_at": (row.expires_at is None or row.expires_at > clock.now(), "Give a moment that is not over."),
    }
    return {field: [sentence] for field, (is_right, sentence) in rules.items() if not is_right}


@transaction.atomic
def end_promotion_code(row: PromotionCode, *, by: str, reason: str = "") -> None:
    """It can no longer be redeemed; discounts that it has given go on. May be repeated."""
    if PromotionCode.objects.filter(pk=row.pk, is_active=True).update(is_active=False):
        record("promotion_code.ended", actor=by, target=row.pk, reason=reason, code=row.code)


def find_promotion_code(code: str, *, currency: str, owner: Owner | None = None) -> PromotionCode:
    """The code that a customer has entered. A discount that ends is given only once to the person of ``owner``. Raises
    ``Invalid``, saying why it cannot be used."""
    row = PromotionCode.objects.by_code(code).redeemable(clock.now()).first()
    if row is None:
        raise Invalid(errors={"promotion_code": ["This code is not known, or has expired."]})
    if row.currency and row.currency != currency:
        raise Invalid(errors={"promotion_code": [f"This code is for prices in {row.currency} only."]})
    redeemed = Checkout.objects.filter(promotion_code=row.code, status=Checkout.Status.ACTIVE)
    is_for_a_while = row.duration != PromotionCode.Duration.FOREVER
    if owner and is_for_a_while and redeemed.filter(owned_by_person(person_of(owner), "customer__")).exists():
        raise Invalid(errors={"promotion_code": ["You have used this code already."]})
    if row.max_redemptions is not None and redeemed.count() >= row.max_redemptions:
        raise Invalid(errors={"promotion_code": ["This code has been used up."]})
    return row
