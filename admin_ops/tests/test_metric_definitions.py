"""The worked examples of ``saas/docs/billing.md`` are what the product computes; and revenue by customer and month."""

import csv
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine

from admin_ops.revenue import revenue_metrics
from saas.audit.models import AuditEvent
from saas.billing.models import Customer, Invoice
from saas.billing.sync import upsert
from saas.testing.factories import user_factories
from saas.testing.factories.subscription_factories import START, subscription_event
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

DOCUMENT = Path(__file__).resolve().parents[2] / "saas/docs/billing.md"
NOW = datetime.fromtimestamp(START, UTC) + timedelta(days=180)


def table(header: str) -> list[list[str]]:
    """The rows of the document's table that has these columns."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = lines[lines.index(header) + 2 :]
    return [
        [cell.strip().strip("`") for cell in row.strip("|").split("|")]
        for row in rows[: next(number for number, row in enumerate(rows) if not row.startswith("|"))]
    ]


EXAMPLES = table("| figure | field | worked example | value |")


@pytest.fixture
def company(db):
    with time_machine.travel(NOW, tick=False):
        seen = set()
        for day, name, amount in table("| day | customer | a month |"):
            customer = f"cus_{name.lower()}"
            if name not in seen:
                Customer.objects.create(
                    user=user_factories.create_customer().user, provider="stripe", external_id=customer
                )
            price = re.fullmatch(r"(\d+\.\d\d) (\w+)", amount)
            status = "trialing" if price is None else "active" if Decimal(price[1]) else "canceled"
            append_event(
                subscription_event(
                    f"sub_{name}", status, int(day), customer=customer, verb="updated" if name in seen else "created",
                    cents=int(Decimal(price[1]) * 100) if price else 9900, currency=price[2] if price else "usd",
                ),
                source=WebhookEvent.Source.DELIVERY,
            )  # fmt: skip
            seen.add(name)
            upsert.upsert_subscription(f"sub_{name}")
        yield


@pytest.mark.parametrize(("figure", "field", "worked", "value"), EXAMPLES, ids=[row[1] for row in EXAMPLES])
def test_a_worked_example_is_what_the_product_computes(company, figure, field, worked, value):
    assert re.fullmatch(r"[\d +*/()]+", worked)
    assert round(eval(worked), len(value.partition(".")[2])) == float(value)  # digits and operators
    assert revenue_metrics(NOW)[field] == float(value)


def test_each_figure_is_defined_beside_those_of_the_field():
    defined = [row[0] for row in table("| figure | here | Stripe | ChartMogul |")]

    assert defined == [row[0] for row in EXAMPLES]


def test_the_figures_are_of_the_currency_that_is_asked_for(company, admin_ops, staff_member):
    body = admin_ops.get("/api/admin/metrics/revenue?currency=EUR", token=staff_member.token).json()

    assert (body["currency"], body["monthly_recurring_revenue"], body["paying_customers"]) == ("eur", 19, 1)


def test_revenue_is_exported_by_customer_and_month_and_audited(company, admin_ops, staff_member):
    bea = Customer.objects.get(external_id="cus_bea")
    Invoice.objects.create(
        customer=bea, external_id="in_1", status="paid", currency="usd", amount_paid_cents=5000, returned_cents=1250,
        paid_at=datetime(2026, 6, 2, tzinfo=UTC),
    )  # fmt: skip

    answer = admin_ops.get("/api/admin/metrics/revenue/export?currency=usd", token=staff_member.token)

    rows = list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))
    of_bea = [row for row in rows if row["customer"] == bea.pk]
    assert [(row["month"], row["monthly_recurring_revenue"], row["paid"]) for row in of_bea] == [
        *[(f"2026-0{month}", "50.00", "0.00") for month in range(1, 6)],
        ("2026-06", "0.00", "37.50"),
    ]
    assert {(row["owner"], row["provider_customer"], row["currency"]) for row in of_bea} == {
        (bea.user_id, "cus_bea", "usd")
    }
    last = {row["provider_customer"]: row["monthly_recurring_revenue"] for row in rows if row["month"] == "2026-06"}
    assert last == {"cus_ann": "130.00", "cus_bea": "0.00", "cus_cleo": "50.00", "cus_dora": "40.00"}
    assert AuditEvent.objects.get(action="revenue.exported").actor == staff_member.user.id


def test_revenue_is_exported_to_nobody_else(admin_ops, customer):
    assert admin_ops.get("/api/admin/metrics/revenue/export", token=customer.token).status_code in {401, 403}
    assert not AuditEvent.objects.filter(action="revenue.exported").exists()
