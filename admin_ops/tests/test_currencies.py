"""Amounts of currencies without cents, and of those with thousandths, wherever they are shown."""

import json
import re

import pytest

from saas.billing.invoices import customer_mails
from saas.billing.models import Customer, Invoice, Plan, Price, Subscription
from saas.mail.models import Mail
from saas.testing.factories import event_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.actions import append_event

AMOUNTS = [("jpy", 5000, "5,000 JPY", 5000), ("kwd", 12_345, "12.345 KWD", 12.345), ("usd", 7900, "79.00 USD", 79)]


@pytest.fixture(params=AMOUNTS, ids=[amount[0] for amount in AMOUNTS])
def sold(request, customer):
    """A subscription of Kim's and its open invoice, with the texts and numbers that tell their amount."""
    currency, minor, text, units = request.param
    Customer.objects.create(user=customer.user, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth", is_current=True)
    line = whole.subscription_item(whole.price(amount=minor, currency=currency))
    append_event(whole.event("customer.subscription.created", whole.subscription(line)), source="delivery")
    bill = whole.invoice(minor, currency=currency)
    append_event(whole.event("invoice.created", bill, id="evt_2"), source="delivery")
    event_factories.drain()
    return currency, minor, text, units


def words(admin_site, path):
    """A page's text, without its marks."""
    return " ".join(re.sub(r"<[^>]*>", " ", admin_site.get(path).content.decode()).split())


def test_the_mail_about_a_failed_payment_names_the_amount(sold):
    customer_mails.send_payment_failed("in_1", {})

    assert Mail.objects.get(template="payment_failed").context["amount"] == sold[2]


def test_revenue_metrics_are_in_whole_units(admin_ops, staff_member, sold):
    currency, _, _, units = sold

    body = admin_ops.get("/api/admin/metrics/revenue", token=staff_member.token).json()

    metrics = [body[name] for name in ("currency", "monthly_recurring_revenue", "arpu")]
    assert metrics == [currency, units, units]
    assert body["by_currency"] == [{"currency": currency, "monthly_recurring_revenue": units, "subscriptions": 1}]
    assert body["months"][-1]["closing"] == units


def test_the_staff_api_has_amounts_in_whole_units(admin_ops, customer, staff_member, sold):
    page = admin_ops.get(f"/api/admin/users/{customer.user.pk}", token=staff_member.token).json()

    assert [row["price_monthly"] for row in page["subscriptions"]] == [sold[3]]
    assert [row["total"] for row in page["invoices"]] == [sold[3]]


def test_the_admin_site_formats_amounts_by_currency(admin_site, customer, sold):
    row, bill = Subscription.objects.get(), Invoice.objects.get()
    pages = {
        "/admin/": sold[2].replace(".00", ""),
        f"/admin/accounts/user/{customer.user.pk}/change/": f"{sold[2]} a month",
        f"/admin/billing/subscription/{row.pk}/change/": sold[2],
        f"/admin/billing/invoice/{bill.pk}/change/": sold[2],
    }

    assert {path: text in words(admin_site, path) for path, text in pages.items()} == dict.fromkeys(pages, True)


def test_the_dashboard_draws_whole_units(admin_site, sold):
    page = admin_site.get("/admin/")

    drawn = json.loads(page.context["revenue_chart"])["datasets"][0]["data"]
    assert drawn[-1] == sold[3]


@pytest.mark.parametrize(("currency", "minor", "text", "units"), AMOUNTS)
def test_the_public_list_and_the_pages_tell_a_plans_price(product, db, currency, minor, text, units):
    Plan.objects.filter(pk="growth").update(currency=currency, price_cents=minor)

    plans = product.get("/api/subscriptions/plans").json()["plans"]

    growth = next(plan for plan in plans if plan["id"] == "growth")
    assert (growth["price_monthly"], growth["currency"]) == (units, currency)
    assert str(Plan.objects.get(pk="growth").price) == text
