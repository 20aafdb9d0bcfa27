"""Billing's pages of a person and of a team: what is shown, what a press does, and that the rules are the API's."""

import html
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from product.billing.pages import PAGES
from product.tests.pages.test_team_pages import Browser
from saas.api import rate_limits
from saas.billing.catalogue.prices import change_price
from saas.billing.catalogue.promotions import create_promotion_code
from saas.billing.checkouts import start_checkout
from saas.billing.models import (
    BillingDetails,
    Checkout,
    Customer,
    Invoice,
    LocalObject,
    PaymentMethod,
    PendingChange,
    Plan,
    Price,
    PriceTerms,
    Subscription,
    TaxId,
)
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers.local import test_clock as local_clock
from saas.billing.subscriptions import PREVIEW_HOLDS, cancel_subscription
from saas.teams.models import Team
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import add_member, create_team, with_verified_email
from saas.testing.factories.user_factories import Person
from saas.testing.rate_limits import use_up


@pytest.fixture
def owner(customer: Person) -> Person:
    return with_verified_email(customer)


@pytest.fixture
def browser(product: ServiceClient, owner: Person) -> Browser:
    return Browser(product, owner)


@pytest.fixture
def team(owner: Person) -> Team:
    return create_team(owner)


@pytest.fixture
def yearly(db: None) -> None:
    change_price("growth", PriceTerms("usd", "year", 79_000), by="system")


def text_of(page: str) -> str:
    """The words of the main part, in one line."""
    main = page.partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def hidden(page: str) -> dict[str, str]:
    """The fields of the page's form that are not typed."""
    form = page.rpartition('method="post"')[2]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


def buy(person: Person, plan: str = "growth", **terms: Any) -> Subscription:
    start_checkout(person.user, plan_id=plan, **terms)
    return Subscription.objects.for_owner(terms.get("owner") or person.user).get()


def card(person: Person, last4: str = "4242", **more: Any) -> PaymentMethod:
    return add_payment_method(
        person.user, type="card", provider="visa", last4=last4, exp_month=12, exp_year=2035, **more
    )


def test_without_a_subscription_the_page_shows_what_is_used_and_the_way_to_the_plans(
    browser: Browser, team: Team
) -> None:
    page = browser.get("/billing")

    assert browser.answer.status_code == 200
    assert "Free You have no subscription." in text_of(page)
    assert "Teams 1 of 1 Seats in a team 1 of 3 API keys of a team 0 of 1" in text_of(page)
    assert '<progress class="full" max="1" value="1" aria-labelledby="usage-teams">' in page
    assert 'href="/billing/plans"' in page


def test_plan_next_invoice_usage_cards_and_invoices_are_shown(browser: Browser, owner: Person) -> None:
    card(owner)
    row = buy(owner)
    page = browser.get("/billing")

    text = text_of(page)
    assert "Growth active 79 USD a month" in text
    day = f"{row.current_period_end:%-d %B %Y}" if row.current_period_end else ""
    assert f"Next invoice 79 USD on {day}" in text
    assert "visa ···· 4242 default Expires 12/2035" in text
    invoice = Invoice.objects.get()
    assert f"{invoice.number} paid 79.00 USD" in text
    assert f'href="/billing/invoice/{invoice.pk}"' in page


@pytest.mark.parametrize(("interval", "count"), [("month", 3), ("week", 1)])
def test_a_quarterly_or_weekly_price_is_shown_by_the_month(
    browser: Browser, owner: Person, interval: str, count: int
) -> None:
    price = Price.objects.filter(external_id=buy(owner).price_id)
    price.update(interval=interval, interval_count=count, unit_amount_cents=1_234)
    Subscription.objects.update(monthly_cents=4_321)

    text = text_of(browser.get("/billing"))

    assert "Growth active 43.21 USD a month" in text


def test_more_seats_keep_a_price_by_the_quarter(browser: Browser, owner: Person) -> None:
    bought = buy(owner)
    price = Price.objects.filter(external_id=bought.price_id)
    price.update(interval_count=3, is_per_unit=True, unit_amount_cents=1_800)

    page = browser.get("/billing/change?plan=growth&quantity=5")
    browser.follow("/billing/change", **hidden(page))

    assert "6 USD a month for each of 5 seats" in text_of(page)
    assert "Growth, the next period" in text_of(page)
    changed = Subscription.objects.get()
    assert (changed.price_id, changed.quantity) == (bought.price_id, 5)


def test_what_waits_to_be_charged_is_part_of_the_next_invoice(browser: Browser, owner: Person) -> None:
    buy(owner, "starter")
    browser.follow("/billing/change", **hidden(browser.get("/billing/change?plan=growth")))

    assert "139 USD on" in text_of(browser.get("/billing"))


def test_the_page_asks_few_questions(browser: Browser, owner: Person, django_assert_max_num_queries) -> None:
    card(owner)
    buy(owner)
    browser.get("/billing")

    with django_assert_max_num_queries(20):
        browser.get("/billing")


def test_a_plan_by_the_year_is_chosen_and_bought_on_the_hosted_page(browser: Browser, yearly: None) -> None:
    create_promotion_code("SPRING", by="system", duration="once", percent_off=Decimal(20))
    plans = browser.get("/billing/plans?interval=year")
    assert 'href="/billing/checkout?plan=growth&amp;interval=year&amp;currency=usd"' in plans
    asked = browser.get("/billing/checkout?plan=growth&interval=year&currency=usd")
    assert "790 USD a year" in text_of(asked)

    page = browser.send("/billing/checkout", **hidden(asked), promotion_code="spring")

    row = Checkout.objects.select_related("price").get()
    assert (row.plan_id, row.price.interval, row.promotion_code) == ("growth", "year", "SPRING")
    assert f'href="{row.url}"' in page
    again = browser.send("/billing/checkout", **hidden(asked), promotion_code="spring")
    assert f'href="{row.url}"' in again
    assert Checkout.objects.count() == 1
    hosted = row.url.removeprefix("http://localhost:8000")
    assert "Due today 632 USD" in text_of(browser.get(hosted))
    browser.send(hosted, act="pay", card="4242")
    browser.get(f"/billing/success?checkout_id={row.pk}")
    assert "790 USD a year" in text_of(browser.get("/billing"))
    assert Subscription.objects.get().price_id == "price_local_growth_usd_year_1"


def test_a_code_that_is_not_known_is_named_beside_its_field_and_kept(browser: Browser) -> None:
    fields = hidden(browser.get("/billing/checkout?plan=growth"))

    page = browser.send("/billing/checkout", **fields, promotion_code="NONE")

    assert browser.answer.status_code == 422
    assert "This code is not known, or has expired." in page
    assert 'value="NONE"' in page
    assert not Checkout.objects.exists()


def test_a_card_number_is_refused_and_not_sent_back(browser: Browser) -> None:
    fields = hidden(browser.get("/billing/checkout?plan=growth"))

    page = browser.send("/billing/checkout", **fields, promotion_code="4242 4242 4242 4242")

    assert browser.answer.status_code == 422
    assert "This looks like a card number." in page
    assert not Checkout.objects.exists()


@pytest.mark.parametrize("query", ["plan=none", "plan=growth&currency=jpy", "plan=growth&interval=year", ""])
def test_what_is_not_sold_leads_to_the_plans(browser: Browser, query: str) -> None:
    browser.get(f"/billing/checkout?{query}")

    assert (browser.answer.status_code, browser.answer.headers["Location"]) == (302, "/billing/plans")


def test_who_has_a_subscription_changes_it_instead_of_buying_another(browser: Browser, owner: Person) -> None:
    buy(owner)

    browser.get("/billing/checkout?plan=scale&interval=month")

    assert browser.answer.headers["Location"] == "/billing/change?plan=scale&interval=month"


def test_a_change_costs_exactly_what_was_shown(browser: Browser, owner: Person) -> None:
    buy(owner, "starter")
    local_clock.advance_and_process(timedelta(days=10, hours=3))
    asked = browser.get("/billing/change?plan=growth")
    amounts = re.findall(r'<span class="number">([-−\d.,]+) USD</span>', asked)
    rest, unused, price, due = (round(float(amount.replace("−", "-")) * 100) for amount in amounts)
    assert (price, due) == (7_900, price + rest + unused)
    assert unused < 0 < rest

    page = browser.follow("/billing/change", **hidden(asked))

    assert "Your subscription is now Growth." in page
    local_clock.advance_and_process(timedelta(days=31))
    assert Invoice.objects.order_by("-issued_at").first().total_cents == due


def test_a_change_of_the_interval_is_due_today(browser: Browser, owner: Person, yearly: None) -> None:
    buy(owner)

    asked = browser.get("/billing/change?plan=growth&interval=year")
    assert re.search(
        r"Growth, the time that is not used −7\d\.\d\d USD Growth, a year from today 790.00 USD", text_of(asked)
    )
    due = re.search(r"Due today ([\d.]+) USD", text_of(asked))
    browser.follow("/billing/change", **hidden(asked))

    assert due
    assert Invoice.objects.order_by("-pk").first().total_cents == round(float(due[1]) * 100)
    assert Subscription.objects.get().price_id == "price_local_growth_usd_year_1"


def test_a_smaller_plan_shows_the_credit_that_it_gives(browser: Browser, owner: Person) -> None:
    buy(owner, "scale")

    text = text_of(browser.get("/billing/change?plan=starter"))

    assert re.search(r"Becomes your credit 2\d\d\.\d\d USD", text)
    assert "0.00 USD When Now The plan changes at once." in text


def test_a_smaller_plan_says_what_is_lost_and_what_of_it_is_in_use(browser: Browser, owner: Person, team: Team) -> None:
    start_checkout(owner.user, owner=team, plan_id="growth")
    for _ in range(5):
        add_member(team, Role.MEMBER)

    smaller = text_of(browser.get(f"/teams/{team.id}/billing/change?plan=starter"))
    larger = text_of(browser.get(f"/teams/{team.id}/billing/change?plan=scale"))

    assert "What you lose Seats in a team 25 → 5 6 are in use API keys of a team 10 → 2" in smaller
    assert "Priority support no longer Nothing that you made is deleted." in smaller
    assert "What you lose" not in larger


def test_an_old_preview_is_shown_again_before_anything_is_charged(browser: Browser, owner: Person) -> None:
    buy(owner, "starter")
    fields = hidden(browser.get("/billing/change?plan=growth"))
    fields["prorated_at"] = (timezone.now() - PREVIEW_HOLDS - timedelta(seconds=5)).isoformat()

    page = browser.send("/billing/change", **fields)

    assert browser.answer.status_code == 409
    assert "This price was worked out a while ago. Look at it again." in page
    assert hidden(page)["prorated_at"] > fields["prorated_at"]
    assert Subscription.objects.get().plan_id == "starter"


@pytest.mark.parametrize("at", [timedelta(hours=1), -timedelta(minutes=15, seconds=5)])
def test_no_moment_of_ones_choice_makes_a_change_cheaper(product: ServiceClient, owner: Person, at: timedelta) -> None:
    buy(owner, "starter")
    body = {"plan_id": "growth", "prorated_at": (timezone.now() + at).isoformat()}

    answer = product.post("/api/subscriptions/change", body, token=owner.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "preview_outdated")
    assert Subscription.objects.get().plan_id == "starter"


def test_the_same_plan_is_refused_where_one_can_go_on(browser: Browser, owner: Person) -> None:
    buy(owner)

    browser.get("/billing/change?plan=growth")
    assert browser.answer.headers["Location"] == "/billing/plans"

    assert "The subscription is on this plan already." in browser.get("/billing/plans")


def test_seats_are_bought_and_changed(browser: Browser, team: Team, owner: Person) -> None:
    change_price("growth", PriceTerms("usd", "month", 900, is_per_unit=True, included_quantity=2), by="system")
    for _ in range(2):
        add_member(team, Role.MEMBER)
    home = f"/teams/{team.id}/billing"
    asked = browser.get(f"{home}/checkout?plan=growth")
    assert 'name="quantity" value="3"' in asked
    refused = browser.send(f"{home}/checkout", **hidden(asked), quantity="2")
    assert (browser.answer.status_code, "3 seats are taken: buy at least as many." in refused) == (422, True)

    browser.send(f"{home}/checkout", **hidden(asked), quantity="4")
    row = Checkout.objects.get()
    browser.send(row.url.removeprefix("http://localhost:8000"), act="pay", card="4242")
    thanks = browser.get(f"/billing/success?checkout_id={row.pk}")
    assert f'href="{home}"' in thanks
    assert Subscription.objects.get().quantity == 4
    browser.get(f"{home}/change?plan=growth&interval=month&quantity=2")
    assert "3 seats are taken: keep at least as many." in browser.get(f"{home}/plans")
    more = browser.get(f"{home}/change?plan=growth&interval=month&quantity=6")
    assert "Growth, the next month 54.00 USD" in text_of(more)
    page = browser.follow(f"{home}/change", **hidden(more))

    assert "9 USD a month for each of 6 seats" in text_of(page)
    assert "Seats in a team 3 of 6" in text_of(page)


def test_a_change_for_the_periods_end_is_chosen_shown_and_called_off(
    browser: Browser, owner: Person, team: Team, django_assert_max_num_queries
) -> None:
    row = buy(owner, owner=team)
    home, day = f"/teams/{team.id}/billing", f"{row.current_period_end:%-d %B %Y}"
    asked = browser.get(f"{home}/change?plan=starter")
    assert f"On {day} , with the next period Growth stays until then" in text_of(asked).replace(f"{day},", f"{day} ,")
    assert "From then on: 19 USD a month." in text_of(asked)

    page = browser.follow(f"{home}/change", **hidden(asked), when="period_end")

    assert "The change is planned." in page
    assert f"On {day} you move to Starter : 19 USD a month. Call it off" in text_of(page)
    assert f"Renews on {day}" in text_of(page)  # and not for what growth costs
    assert Subscription.objects.get().plan_id == "growth"
    with django_assert_max_num_queries(25):
        browser.get(home)
    page = browser.follow(f"{home}/change/cancel")
    assert "The change is called off." in page
    assert "you move to" not in text_of(page)
    assert not PendingChange.objects.exists()
    assert "No change is planned" in browser.follow(f"{home}/change/cancel")


def test_who_leaves_plans_nothing(browser: Browser, owner: Person) -> None:
    row = buy(owner)
    fields = hidden(browser.get("/billing/change?plan=starter"))
    cancel_subscription(owner.user, at_period_end=True, reason="", by=owner.user)

    page = browser.send("/billing/change", **fields, when="period_end")

    assert browser.answer.status_code == 409
    assert "nothing can be planned" in page
    assert 'name="when"' not in page
    assert not PendingChange.objects.exists()
    PendingChange.objects.create(subscription=row, price=row.find_price(), at=row.current_period_end)
    assert "you move to" not in text_of(browser.get("/billing"))  # canceled in the provider's own portal


DETAILS = {"line1": "Linden 1", "postal_code": "10969", "city": "Berlin", "country": "DE"}


def test_address_and_tax_id_are_given_shown_and_on_the_next_invoice(browser: Browser, team: Team) -> None:
    home = f"/teams/{team.id}/billing"
    assert "Your invoices have no address and no tax id." in text_of(browser.get(home))

    page = browser.follow(f"{home}/details", **DETAILS, tax_id_kind="eu_vat", tax_id="de 136695976")

    assert "Your billing details are saved." in page
    assert "Address Linden 1 10969 Berlin Germany Tax id DE136695976 (European Union: VAT)" in text_of(page)
    asked = browser.get(f"{home}/details")
    assert 'name="line1" value="Linden 1"' in asked
    assert '<option value="DE" selected>Germany</option>' in asked
    start_checkout(team.owner, plan_id="growth", owner=team)
    path = Invoice.objects.get().hosted_url.removeprefix("http://localhost:8000")
    assert "Linden 1 10969 Berlin Germany Tax id DE136695976" in text_of(browser.get(path))


def test_what_became_of_a_tax_id_is_said_with_the_others_that_the_provider_has(browser: Browser, owner: Person) -> None:
    start_checkout(owner.user, plan_id="growth")
    browser.follow(
        "/billing/details", **DETAILS, company_name="Example GmbH", tax_id_kind="eu_vat", tax_id="DE136695976"
    )
    words = text_of(browser.get("/billing"))
    assert "Company name Example GmbH Address Linden 1" in words
    assert "DE136695976 (European Union: VAT) It is being checked." in words

    there = Customer.objects.get()
    TaxId.objects.create(external_id="txi_1", customer=there, kind="eu_vat", value="ATU13585627", status="verified")
    BillingDetails.objects.update(tax_id_refusal="Invalid value for eu_vat.")

    words = text_of(browser.get("/billing"))
    assert "The payment provider does not take it" in words
    assert "Also on invoices ATU13585627" in words


def test_a_number_that_is_no_tax_id_is_named_beside_its_field_and_kept(browser: Browser) -> None:
    page = browser.send("/billing/details", **DETAILS, tax_id_kind="eu_vat", tax_id="DE136695977")

    assert browser.answer.status_code == 400
    assert "This is not a valid tax id of this kind." in page
    assert 'name="tax_id" value="DE136695977"' in page
    assert not BillingDetails.objects.exists()


def test_billing_details_are_asked_for_in_german(browser: Browser, owner: Person) -> None:
    type(owner.user).objects.filter(pk=owner.user.pk).update(locale="de")

    words = text_of(browser.get("/billing/details"))

    assert "Rechnungsangaben" in words
    assert "Deutschland" in words
    assert "Europäische Union: VAT" in words
    assert words.index("Österreich") < words.index("Polen")
    assert not re.search(r"\b(Street|City|Country|Tax|Save|Keep|Not|the)\b", words), words


@pytest.mark.usefixtures("team")  # one team, as many as remain: more than remain would be mentioned
def test_canceling_says_what_is_lost_and_is_taken_back(browser: Browser, owner: Person) -> None:
    row = buy(owner)
    asked = text_of(browser.get("/billing/end"))
    assert "Teams 10 → 1 Seats in a team 25 → 3 API keys of a team 10 → 1" in asked
    assert "Priority support no longer" in asked

    page = browser.follow("/billing/end", when="period_end", why="price", reason="For us")
    day = f"{row.current_period_end:%-d %B %Y}"
    assert f"It ends on {day} . Until then everything stays as it is." in text_of(page)
    stored = LocalObject.objects.of_kind("subscription").get().data
    assert stored["cancellation_details"] == {"comment": "Too expensive: For us"}
    row.refresh_from_db()
    assert row.is_canceling
    page = browser.follow("/billing/resume")

    assert "Your subscription goes on." in page
    row.refresh_from_db()
    assert not row.is_canceling


def test_what_is_not_paid_is_not_offered_to_run_out(browser: Browser, owner: Person) -> None:
    card(owner, "0341")
    buy(owner)
    local_clock.advance_and_process(timedelta(days=32))

    page = browser.get("/billing/end")

    assert 'value="period_end"' not in page
    assert "Access ends at once, and the payment that failed is not tried again." in text_of(page)
    assert "It is over." in browser.follow("/billing/end", when="now", why="", reason="")


def test_a_subscription_is_ended_at_once(browser: Browser, owner: Person) -> None:
    buy(owner)

    page = browser.follow("/billing/end", when="now", why="", reason="")

    assert "It is over." in page
    assert "You have no subscription." in page
    assert Subscription.objects.get().status == "canceled"


def test_what_cannot_be_done_is_said_on_the_overview(browser: Browser) -> None:
    for path in ("/billing/end", "/billing/resume"):
        browser.send(path, when="period_end")
        browser.get("/billing")
        assert browser.get("/billing/end") == ""
        assert "There is no live subscription." in browser.get("/billing")


def test_a_payment_method_is_removed_after_reading_what_that_means(browser: Browser, owner: Person) -> None:
    method = card(owner)
    buy(owner)
    path = f"/billing/payment-methods/{method.id}"

    assert "without another, the next payment fails" in browser.get(path)
    page = browser.follow(path)

    assert "The payment method is removed." in page
    assert not PaymentMethod.objects.usable().exists()


def test_the_portal_leads_back_to_whose_billing_it_is(browser: Browser, team: Team) -> None:
    page = browser.send(f"/teams/{team.id}/billing/portal")

    session = LocalObject.objects.of_kind("billing_portal.session").get()
    assert f"/billing/portal/{session.pk}" in page
    assert session.customer_id == Customer.objects.get(team=team).external_id
    assert session.data["return_url"] == f"http://localhost:8000/teams/{team.id}/billing?from=portal"


@pytest.mark.parametrize(
    ("last4", "text", "button"),
    [
        ("0341", "The payment of 79.00 USD failed.", "Pay now"),
        ("3184", "Your bank asks you to confirm the payment of 79.00 USD .", "Confirm the payment"),
    ],
)
def test_a_payment_that_failed_is_above_everything_and_can_be_made(
    browser: Browser, owner: Person, last4: str, text: str, button: str
) -> None:
    card(owner, last4)
    buy(owner)
    local_clock.advance_and_process(timedelta(days=32))

    page = browser.get("/billing")

    assert text in text_of(page)
    assert "without it" in text_of(page)
    invoice = Invoice.objects.get(status="open")
    assert f'href="/billing/invoice/{invoice.pk}">{button}</a>' in page
    assert invoice.needs_action == (last4 == "3184")
    path = invoice.hosted_url.removeprefix("http://localhost:8000")
    browser.get(path)
    browser.send(path, act="deny", card=last4)
    assert (browser.answer.status_code, Invoice.objects.filter(status="open").count()) == (409, 1)
    browser.send(path, act="confirm" if last4 == "3184" else "pay", card="3184" if last4 == "3184" else "4242")
    assert "failed" not in text_of(browser.get("/billing"))
    assert Subscription.objects.get().status == "active"


def test_an_open_invoice_of_an_earlier_subscription_is_not_asked_for(browser: Browser, owner: Person) -> None:
    card(owner, "0341")
    buy(owner)
    local_clock.advance_and_process(timedelta(days=32))
    waits = Invoice.objects.get(status="open")
    Invoice.objects.create(
        external_id="in_earlier", customer=waits.customer, subscription_id="sub_earlier", status="open", currency="usd",
        amount_due_cents=1_234, total_cents=1_234, hosted_url="https://invoice.example/earlier",
        issued_at=waits.issued_at - timedelta(days=300),
    )  # fmt: skip

    page = browser.get("/billing")

    assert "The payment of 79.00 USD failed." in text_of(page)
    assert f'href="/billing/invoice/{waits.pk}">Pay now</a>' in page


@pytest.mark.parametrize(("needs_action", "button"), [(True, "Confirm the payment"), (False, "Pay now")])
def test_a_change_that_waits_for_its_payment_is_asked_for(
    browser: Browser, owner: Person, needs_action: bool, button: str
) -> None:
    """The subscription is active all the same. A debit that is on its way is open, too, and nothing is asked."""
    buy(owner)
    row = Subscription.objects.get()
    invoice = Invoice.objects.create(
        external_id="in_change", customer=row.customer, subscription_id=row.external_id, status="open", currency="usd",
        amount_due_cents=79_000, total_cents=79_000, hosted_url="https://invoice.example/change",
        issued_at=timezone.now(), needs_action=needs_action,
    )  # fmt: skip

    page = browser.get("/billing")

    assert row.status == "active"
    assert (f'href="/billing/invoice/{invoice.pk}">{button}</a>' in page) == needs_action
    assert ("Your bank asks you to confirm the payment of 790.00 USD" in text_of(page)) == needs_action


def test_an_invoice_is_opened_at_the_address_that_is_valid_now(
    browser: Browser, owner: Person, team: Team, other: Person
) -> None:
    start_checkout(owner.user, owner=team, plan_id="starter")
    buy(other)
    Invoice.objects.update(hosted_url="https://invoice.example/expired")
    theirs, of_team = Invoice.objects.for_owner(other.user).get(), Invoice.objects.for_owner(team).get()

    browser.get(f"/teams/{team.id}/billing/invoice/{of_team.pk}")
    assert browser.answer.status_code == 302
    local = LocalObject.objects.get(pk=of_team.external_id).data["hosted_invoice_url"]
    assert browser.answer.headers["Location"] == local
    for path in (f"/billing/invoice/{of_team.pk}", f"/billing/invoice/{theirs.pk}", "/billing/invoice/none"):
        browser.get(path)
        assert browser.answer.status_code == 404


def test_the_end_of_a_trial_is_announced(browser: Browser, owner: Person) -> None:
    Plan.objects.filter(pk="growth").update(trial_days=14)
    assert "The first 14 days are free." in browser.get("/billing/checkout?plan=growth")
    buy(owner)

    text = text_of(browser.get("/billing"))

    assert "Your trial ends in 14 days , on" in text
    assert "Then 79 USD are charged." in text


PATHS = [
    "",
    "/plans",
    "/checkout?plan=growth",
    "/change?plan=growth",
    "/end",
    "/resume",
    "/portal",
    "/change/cancel",
    "/details",
]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER, None])
def test_only_its_owner_sees_a_teams_billing(
    product: ServiceClient, team: Team, other: Person, role: Role | None
) -> None:
    browser = Browser(product, add_member(team, role) if role else other)

    for path in PATHS:
        browser.get(f"/teams/{team.id}/billing{path}")
        assert browser.answer.status_code == (403 if role else 404)
        browser.send(f"/teams/{team.id}/billing{path.partition('?')[0]}", when="now", plan_id="growth")
        assert browser.answer.status_code == (403 if role else 404)
    assert f"/teams/{team.id}/billing" not in browser.get(f"/teams/{team.id}")


def test_a_team_says_whose_plan_it_uses(browser: Browser, owner: Person, team: Team) -> None:
    buy(owner)

    text = text_of(browser.get(f"/teams/{team.id}/billing"))

    assert "Growth This team uses your own plan." in text
    assert "Seats in a team 1 of 25" in text


def test_another_persons_card_is_not_there(product: ServiceClient, browser: Browser, other: Person) -> None:
    theirs = card(other)

    browser.send(f"/billing/payment-methods/{theirs.id}")

    assert browser.answer.status_code == 404
    assert PaymentMethod.objects.usable().count() == 1


def test_the_page_of_a_bought_plan_is_limited(browser: Browser, settings: Any) -> None:
    settings.RATE_LIMIT_SCALE = 1
    with time_machine.travel(timezone.now(), tick=False):
        use_up(PAGES, except_for=1)

        statuses = [browser.client.get("/billing/success").status_code for _ in range(2)]

    assert statuses == [200, 429]


def test_buying_by_the_page_spends_the_limit_of_checkouts(browser: Browser, owner: Person, settings: Any) -> None:
    settings.RATE_LIMIT_SCALE = 1
    order = {"plan_id": "growth", "promotion_code": "NONE"}
    with time_machine.travel(timezone.now(), tick=False):
        use_up(replace(rate_limits.CHECKOUT, key=lambda _: owner.user.pk), except_for=1)

        statuses = [browser.client.submit_form("/billing/checkout", order).status_code for _ in range(2)]

    assert statuses == [422, 429]


@pytest.mark.parametrize("path", PATHS[:5])
def test_every_page_speaks_german(browser: Browser, owner: Person, path: str) -> None:
    type(owner.user).objects.filter(pk=owner.user.pk).update(locale="de")
    if path.startswith(("/change", "/end")):
        buy(owner, "starter")

    page = browser.get(f"/billing{path}")

    assert '<html lang="de">' in page
    words = text_of(page)
    assert not re.search(
        r"\b(Billing|Plans?|Usage|Invoices|Payment|Seats|Cancel|Keep|Due|When|Next|support|the|of)\b", words
    ), words


@pytest.mark.parametrize("path", PATHS)
def test_who_is_not_logged_in_logs_in_first_and_comes_back(product: ServiceClient, path: str) -> None:
    from urllib.parse import urlencode

    answer = product.get(f"/billing{path}", headers={"Accept": "text/html"})

    wanted = urlencode({"next": f"/billing{path}"})
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{reverse('login-page')}?{wanted}")
