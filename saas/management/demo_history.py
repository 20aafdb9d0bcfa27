"""Eighteen months of a small business for the first look at a new installation: what ``seed`` makes in development.

Every step is an action of the domain at its own time: the process travels there, the local provider runs what is due by then,
and its events are stored and processed as at any other time. The same day's history is the same each time.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import time_machine
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.test.utils import override_settings
from django.utils import timezone

from saas.accounts.models import User
from saas.accounts.user_import.actions import Options, import_users
from saas.accounts.user_import.formats import Entry, Person
from saas.billing import checkouts, payment_methods, subscriptions
from saas.billing.invoices import refunds
from saas.billing.models import Customer, Invoice, LocalObject
from saas.billing.providers.local import objects, test_clock
from saas.billing.providers.local.lifecycle import UNCHARGEABLE_LAST4
from saas.billing.providers.stripe import example_events
from saas.teams import actions as teams
from saas.teams.models import Membership
from saas.teams.roles import Role
from saas.webhook_events.actions import accept_delivery, store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker
from saas.webhook_events.signatures import sign

GOOD_CARD, CARD_YEARS = "4242", 3


@dataclass(frozen=True)
class Cast:
    """Whom a step is about, everybody by their first name, and the member of staff who helps."""

    user: User
    everybody: dict[str, User]
    staff: User


Act = Callable[[Cast], object]


@dataclass(frozen=True)
class Step:
    """What a person does so many months and days ago."""

    months: int
    days: int
    act: Act

    def moment(self, now: datetime) -> datetime:
        return objects.add_months(now, -self.months) - timedelta(days=self.days)


def buys(plan_id: str) -> Act:
    return lambda cast: checkouts.start_checkout(cast.user, plan_id=plan_id)


def changes_to(plan_id: str) -> Act:
    return lambda cast: subscriptions.change_plan(cast.user, plan_id=plan_id, by=cast.user)


def cancels(cast: Cast) -> object:
    return subscriptions.cancel_subscription(cast.user, at_period_end=True, reason="Too expensive", by=cast.user)


def pays_with(last4: str) -> Act:
    return lambda cast: payment_methods.add_payment_method(
        cast.user, type="card", provider="visa", last4=last4, exp_month=12, exp_year=timezone.now().year + CARD_YEARS
    )


def is_refunded(cents: int | None = None) -> Act:
    def refund(cast: Cast) -> object:
        paid = Invoice.objects.for_owner(cast.user).filter(status=Invoice.Status.PAID).order_by("-issued_at")[0]
        return refunds.refund_invoice(paid, amount_cents=cents, reason="Goodwill", by=cast.staff)

    return refund


def founds(team_name: str, *members: str, plan_id: str = "") -> Act:
    """Also buys a plan for the team itself, if one is named."""

    def found(cast: Cast) -> None:
        if settings.TEAMS:
            team = teams.create_team(name=team_name, owner=cast.user).team
            for name in members:
                Membership.objects.create(team=team, user=cast.everybody[name], role=Role.MEMBER)
            if plan_id:
                checkouts.start_checkout(cast.user, plan_id=plan_id, owner=team)

    return found


def joins(cast: Cast) -> None:
    """Every person's first step, see ``_join``."""


# Oldest first. A person's first step is the day on which they joined.
HISTORY: dict[str, Sequence[Step]] = {
    "Nora Lind": [Step(18, 0, joins), Step(17, 20, buys("starter")), Step(11, 9, changes_to("growth"))],
    "Omar Haddad": [Step(17, 8, joins), Step(17, 0, buys("growth")), Step(16, 2, founds("Haddad Logistics"))],
    "Piet Vries": [Step(16, 22, joins), Step(16, 20, buys("starter")), Step(8, 10, cancels)],
    "Quynh Tran": [Step(15, 12, joins), Step(15, 11, buys("scale"))],
    "Rosa Marin": [Step(14, 25, joins), Step(14, 24, buys("starter")), Step(6, 0, pays_with(UNCHARGEABLE_LAST4))],
    "Sami Korhonen": [Step(13, 3, joins), Step(12, 28, buys("growth")), Step(7, 7, changes_to("starter"))],
    "Tara Singh": [Step(12, 14, joins), Step(12, 0, buys("growth")), Step(11, 27, is_refunded(2900))],
    "Umi Sato": [Step(11, 2, joins), Step(10, 20, buys("starter")), Step(4, 6, changes_to("scale"))],
    "Viktor Novak": [
        *(Step(10, 17, joins), Step(10, 12, buys("starter")), Step(7, 4, cancels)),
        Step(2, 9, buys("growth")),
    ],
    "Wanda Kowalska": [
        *(Step(9, 1, joins), Step(8, 25, buys("growth")), Step(3, 28, pays_with(UNCHARGEABLE_LAST4))),
        Step(3, 20, pays_with(GOOD_CARD)),
    ],
    "Xavier Roche": [Step(8, 8, joins), Step(8, 6, founds("Atelier Roche", "Umi", "Tara", plan_id="growth"))],
    "Yara Costa": [Step(7, 19, joins), Step(7, 0, buys("starter"))],
    "Zeno Fischer": [Step(6, 6, joins)],
    "Amal Idris": [Step(5, 21, joins), Step(5, 4, buys("starter")), Step(0, 20, pays_with(UNCHARGEABLE_LAST4))],
    "Bruno Rossi": [Step(4, 16, joins), Step(4, 15, buys("growth"))],
    "Clara Weiss": [Step(3, 18, joins), Step(3, 12, buys("starter")), Step(0, 6, cancels)],
    "Dario Conti": [Step(2, 24, joins), Step(2, 23, founds("Conti Studio", "Clara"))],
    "Elif Demir": [Step(1, 27, joins), Step(1, 26, buys("starter")), Step(1, 22, is_refunded())],
    "Femi Ade": [Step(1, 9, joins)],
    "Greta Holm": [Step(0, 27, joins), Step(0, 25, buys("growth"))],
    "Hugo Blanc": [Step(0, 19, joins)],
    "Ines Prado": [Step(0, 12, joins), Step(0, 11, buys("starter"))],
    "Jonas Wolf": [Step(0, 6, joins)],
    "Kaia Berg": [Step(0, 2, joins), Step(0, 1, buys("scale"))],
}


def can_have_history() -> bool:
    """Only where nothing was bought yet, and at the local provider, whose time is ours."""
    return settings.BILLING and settings.USES_LOCAL_PROVIDER and not Customer.objects.exists()


def first_day() -> time_machine.travel:
    """The day before the first step, for what has to be there by then."""
    now = timezone.now()
    _, first = _in_order(now)[0]
    return time_machine.travel(first.moment(now) - timedelta(days=1))


def write_history(staff: User) -> int:
    """Make the history up to now, all of it or nothing; return how many people are in it. Mails of the past are not sent."""
    now = timezone.now()
    last_event = WebhookEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    instant = override_settings(BILLING_MAILS=[], BILLING_LOCAL_CHECKOUT="instant", BILLING_TRIAL_DAYS=0)
    with instant, transaction.atomic():
        people: dict[str, User] = {}
        for name, step in _in_order(now):
            with time_machine.travel(step.moment(now)):
                if name not in people:
                    people[name] = _join(name)
                    continue
                _let_time_pass()
                step.act(Cast(people[name], {whole.split()[0]: user for whole, user in people.items()}, staff))
        _let_time_pass()
        with time_machine.travel(now - timedelta(days=3)):
            _deliver(_troubles(int(time.time())))
        _date_deliveries(last_event)
    return len(people)


def _in_order(now: datetime) -> list[tuple[str, Step]]:
    steps = [(name, step) for name, told in HISTORY.items() for step in told]
    return sorted(steps, key=lambda one: one[1].moment(now))


def _join(name: str) -> User:
    """Imported, so that no mail is sent."""
    email = f"demo.{name.split()[0].lower()}@example.org"
    person = Person(email=email, full_name=name, is_verified=True, created_at=timezone.now())
    for _ in import_users([Entry(name, person)], Options()):
        pass
    user: User = User.objects.get(email=email)
    return user


def _let_time_pass() -> None:
    """Run what is due, and process its events in batches."""
    test_clock.run_due_steps()
    waiting = LocalObject.objects.undelivered()
    store_deliveries([IncomingEvent.parse(json.dumps(row.data).encode(), headers={}, address="") for row in waiting])
    waiting.delete()
    event_worker.drain()


def _troubles(at: int) -> list[dict[str, object]]:
    """Events that staff have to look at: a stranger who bought by a payment link, and one that cannot be read."""
    stranger = example_events.random_stripe_id("cus")
    who = {"id": stranger, "email": "billing@customer.example", "name": "Payment Link"}
    return [
        example_events.example_event("customer.created", at=at, fields=who),
        example_events.example_event("customer.subscription.updated", at=at, fields={"customer": stranger}),
        {**example_events.example_event("invoice.paid", at=at), "type": None},
    ]


def _deliver(events: Iterable[dict[str, object]]) -> None:
    for event in events:
        body = json.dumps({**event, "livemode": settings.STRIPE_LIVEMODE}).encode()
        signature = sign(body, secret=settings.STRIPE_WEBHOOK_SECRETS[0], at=int(time.time()))
        receipt = accept_delivery(body, signature=signature, headers={}, address="")
        event_worker.process_event(WebhookEvent.objects.by_external_ids([receipt.event_id]).get().pk)


def _date_deliveries(after: int) -> None:
    """The database's own clock does not travel: say when the events came, which is when they happened."""
    mine = WebhookEvent.objects.filter(pk__gt=after, provider_created__isnull=False)
    mine.update(received_at=F("provider_created"))
    mine.exclude(processed_at=None).update(processed_at=F("provider_created"))
