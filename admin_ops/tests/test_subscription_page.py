"""The page of a subscription: whose it is, what it costs, how it stands and what happens next, in sentences."""

from datetime import datetime

import pytest
from django.utils import timezone

from admin_ops.admin.subscription_sentences import subscription_sentences
from admin_ops.event_sentences import EVENT_SENTENCES, event_sentence
from saas.billing import checkouts
from saas.billing.models import Invoice, PendingChange, Price, PriceMove, Subscription
from saas.billing.providers.stripe.example_events import EVENT_TYPES
from saas.testing.factories import event_factories
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db

DAY = datetime(2030, 5, 6, tzinfo=timezone.get_current_timezone())
NOW = datetime(2030, 5, 1, tzinfo=timezone.get_current_timezone())


@pytest.fixture
def bought(customer) -> Subscription:
    checkouts.start_checkout(customer.user, plan_id="growth")
    event_factories.drain()
    Subscription.objects.update(current_period_end=DAY)
    return Subscription.objects.with_customer().get()


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        ({}, ["It is paid until 6 May 2030.", "It renews on that day."]),
        (
            {"cancel_at_period_end": True, "canceled_at": NOW},
            ["It ends on 6 May 2030 and is not charged again. That was asked for on 1 May 2030."],
        ),
        (
            {"status": "trialing", "trial_end": DAY},
            ["It is on trial until 6 May 2030.", "Then 79.00 USD a month are charged."],
        ),
        (
            {"status": "past_due", "past_due_since": NOW},
            [
                "Its payment is past due since 1 May 2030; access goes on until 8 May 2030.",
                "The provider tries the payment again, as its settings say.",
            ],
        ),
        ({"status": "canceled", "ended_at": DAY}, ["It ended on 6 May 2030."]),
        ({"status": "novel"}, ["The provider calls it “novel”, which is not known here."]),
        ({"plan_is_known": False}, ["stands for no plan. It was Growth before. It is 79.00 USD a month."]),
        ({"quantity": 3}, ["3 times Growth for 79.00 USD a month."]),
    ],
)
def test_it_says_how_it_stands_and_what_happens_next(bought, values, sentences):
    for name, value in values.items():
        setattr(bought, name, value)

    said = " ".join(subscription_sentences(bought, NOW))

    assert [sentence for sentence in sentences if sentence not in said] == []


def test_it_says_what_is_planned(bought):
    scale = Price.objects.filter(plan="scale", is_current=True).get()
    PendingChange.objects.create(subscription=bought, price=scale, at=DAY)
    move = PriceMove.objects.create(from_price=scale, to_price=scale, effective_at=DAY, reason="Costs")
    move.steps.create(subscription=bought)

    said = subscription_sentences(Subscription.objects.get(), NOW)

    assert said[-2:] == [
        f"On 6 May 2030 it changes to Scale, {scale.amount} a month.",
        f"From 6 May 2030 on its price is {scale.amount} a month.",
    ]


def test_a_price_for_each_seat_is_said_with_its_sum(bought):
    Price.objects.filter(external_id=bought.price_id).update(is_per_unit=True)
    bought.quantity, bought.monthly_cents = 5, 5 * 7900

    assert (
        subscription_sentences(bought, NOW)[0]
        == "Growth for 5 seats, 79.00 USD a seat and month: 395.00 USD a month in all."
    )


def test_its_page_links_owner_invoices_and_events_and_folds_the_ids_away(admin_site, customer, bought):
    content = admin_site.get(f"/admin/billing/subscription/{bought.pk}/change/").content.decode()
    events = WebhookEvent.objects.filter(object_id=bought.external_id)
    folded = content.partition('<details class="ops-card ops-technical">')[2]

    assert f'href="/admin/accounts/user/{customer.user.pk}/change/"' in content
    assert f'href="/admin/billing/invoice/{Invoice.objects.get().pk}/change/"' in content
    for event in events:
        assert f'href="/admin/webhook_events/webhookevent/{event.pk}/change/"' in content
    assert f"/admin/billing/subscription/{bought.pk}/do/cancel/" in content
    assert (bought.external_id in folded, bought.external_id in content.replace(folded, "")) == (True, False)
    assert "Growth for 79.00 USD a month." in content
    assert len(events) >= 1


def test_alarms_of_other_subscriptions_of_the_customer_are_not_on_its_page(admin_site, bought):
    Subscription.objects.create(
        external_id="sub_other", customer=bought.customer, status="past_due", plan=bought.plan, currency="usd"
    )

    assert 'role="alert"' not in admin_site.get(f"/admin/billing/subscription/{bought.pk}/change/").content.decode()


def test_an_event_is_a_sentence_with_its_code_behind(admin_site, customer, bought):
    content = admin_site.get(f"/admin/accounts/user/{customer.user.pk}/change/").content.decode()

    assert "A subscription began – processed</a>" in content
    assert 'ops-mono ops-break">customer.subscription.created</span>' in content


@pytest.mark.parametrize(
    ("type", "sentence"),
    [
        ("invoice.payment_failed", "The payment of an invoice failed"),
        ("v1.invoice.payment_failed", "The payment of an invoice failed"),  # a thin event
        ("issuing_card.created", "Issuing card: created"),
        ("treasury.credit_reversal.posted", "Treasury credit reversal: posted"),
        ("ping", "Ping"),
        ("", "An event that cannot be read"),
    ],
)
def test_a_type_without_a_sentence_is_shown_in_its_own_words(type, sentence):
    assert event_sentence(type) == sentence


def test_every_type_that_is_acted_on_has_a_sentence():
    assert set(EVENT_TYPES) - EVENT_SENTENCES.keys() == set()
