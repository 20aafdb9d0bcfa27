"""Reading Stripe's preview of an invoice, in both shapes of its lines."""

from datetime import UTC, datetime
from typing import Any

import pytest

from saas.billing.providers.interface import PreviewLine
from saas.billing.providers.stripe.previews import read_preview
from saas.testing.factories import stripe_object_factories as whole

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
BEFORE = int(AT.timestamp()) - 86_400


def line(amount: int, *, proration: bool, since: int, is_legacy: bool) -> dict[str, Any]:
    period = {"start": since, "end": since + 2_592_000}
    origin = {"subscription_item_details": {"proration": proration}, "invoice_item_details": None}
    where = {"proration": proration} if is_legacy else {"parent": origin}
    return {"object": "line_item", "amount": amount, "period": period, **where}


def preview(*, is_legacy: bool = False, **fields: Any) -> dict[str, Any]:
    lines = [
        line(-1_267, proration=True, since=int(AT.timestamp()), is_legacy=is_legacy),
        line(5_267, proration=True, since=int(AT.timestamp()), is_legacy=is_legacy),
        line(300, proration=True, since=BEFORE, is_legacy=is_legacy),
        line(7_900, proration=False, since=BEFORE, is_legacy=is_legacy),
    ]
    listed = {"object": "list", "data": lines, "has_more": False}
    return whole.invoice(11_102, lines=listed, period_end=int(AT.timestamp()), **fields)


@pytest.mark.parametrize("is_legacy", [True, False])
def test_the_lines_of_a_change_are_told_from_earlier_ones(is_legacy: bool) -> None:
    read = read_preview(preview(is_legacy=is_legacy), AT)

    assert read.lines == (
        PreviewLine("unused", -1_267),
        PreviewLine("rest", 5_267),
        PreviewLine("earlier", 300),
        PreviewLine("price", 7_900),
    )


def test_discount_tax_and_credit_add_up_to_what_is_due() -> None:
    fields = {"total_discount_amounts": [{"amount": 1_000}], "total_taxes": [{"amount": 212}], "total": 11_412}
    read = read_preview(preview(amount_due=11_000, **fields), AT)  # 412 of credit

    assert (read.discount_cents, read.tax_cents, read.total_cents, read.due_cents) == (1_000, 212, 11_412, 11_000)
    assert sum(it.amount_cents for it in read.lines) - read.discount_cents + read.tax_cents == read.total_cents


def test_without_a_change_every_proration_is_an_earlier_one() -> None:
    assert [it.kind for it in read_preview(preview()).lines] == ["earlier", "earlier", "earlier", "price"]


def test_lines_that_are_not_whole_are_not_shown() -> None:
    shown = preview()
    shown["lines"]["has_more"] = True

    read = read_preview(shown, AT)

    assert (read.lines, read.due_cents) == ((), 11_102)


def test_a_preview_without_an_attempt_is_charged_at_the_end_of_its_period() -> None:
    assert read_preview(preview(next_payment_attempt=None), AT).next_charge_at == AT
