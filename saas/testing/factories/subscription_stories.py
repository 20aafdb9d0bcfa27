"""Stories of made-up customers, as the whole events that Stripe would send, in the API version of our gateway and an older one.

A story is told to several points; at each of them it says what must be the case when all events up to there were acted on,
in whatever order they came. Nothing in here was recorded: the objects come from ``stripe_object_factories``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from saas.testing.factories import stripe_object_factories as objects

Object = dict[str, Any]

DAY = 86_400
START = objects.AT
SMALL, LARGE = objects.price("price_small", 1500), objects.price("price_large", 9900)
VERSIONS = (objects.CURRENT, objects.LEGACY)


@dataclass(frozen=True)
class Checkpoint:
    """All events of a story so far, and what they must lead to.

    ``expect`` may name ``subscription_status``, ``access`` (True, False or ``"grace"``), ``cancel_at_period_end``, ``price``,
    ``current_period_end`` (seconds since 1970), ``default_payment_method``, ``events_stored`` and ``invoice`` (status by id).
    """

    name: str
    customer: str
    events: list[Object]
    expect: Object
    is_last: bool = True


class Story:
    """The events of one customer, in the order in which they happened."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version
        self.customer, self.subscription = f"cus_{name}", f"sub_{name}"
        self.events: list[Object] = []
        self.checkpoints: list[tuple[list[Object], Object]] = []
        self._shown: dict[str, Object] = {}

    def happens(self, type: str, thing: Object, *, day: float) -> None:
        """``previous_attributes`` hold what the last event of the same object showed otherwise."""
        id = f"evt_{self.name}_{len(self.events):02}"
        before = self._shown.get(thing["id"])
        changed = {name: before.get(name) for name in thing if before.get(name) != thing[name]} if before else {}
        data = {"previous_attributes": changed} if changed and type.endswith(".updated") else {}
        self.events.append(objects.event(type, thing, id=id, at=START + int(day * DAY), version=self.version, **data))
        self._shown[thing["id"]] = thing

    def expect(self, **state: Any) -> None:
        self.checkpoints.append((list(self.events), state))

    def signs_up(self, *, day: float = 0) -> None:
        self.happens("customer.created", objects.customer(id=self.customer), day=day)

    def subscribes(self, status: str, *, day: float = 0, price: Object = SMALL, **fields: Any) -> None:
        self.happens("customer.subscription.created", self.shown(status, price, since=day, **fields), day=day)

    def changes(
        self, status: str, *, day: float, price: Object = SMALL, since: float = 0, verb: str = "updated", **fields: Any
    ) -> None:
        """``since`` is the day on which the period began that runs now."""
        self.happens(f"customer.subscription.{verb}", self.shown(status, price, since=since, **fields), day=day)

    def shown(self, status: str, price: Object, *, since: float, **fields: Any) -> Object:
        begins = START + int(since * DAY)
        period = {"current_period_start": begins, "current_period_end": begins + objects.MONTH}
        line = objects.subscription_item(price, id=f"si_{self.name}", **period)
        of = {"id": self.subscription, "customer": self.customer, "status": status, "created": START}
        return objects.subscription(line, version=self.version, **of, **fields)

    def invoices(self, event: str, *, day: float, number: int = 1, status: str = "paid", amount: int = 1500) -> None:
        parent = objects.invoice()["parent"]
        details = {**parent["subscription_details"], "subscription": self.subscription}
        fields = {"id": self.invoice(number), "customer": self.customer, "status": status, "created": START}
        paid = {"amount_paid": amount if status == "paid" else 0, "parent": {**parent, "subscription_details": details}}
        self.happens(f"invoice.{event}", objects.invoice(amount, version=self.version, **fields, **paid), day=day)

    def invoice(self, number: int = 1) -> str:
        return f"in_{self.name}_{number}"

    def pays_with(self, card: str, *, day: float) -> None:
        """The card becomes the one that invoices are paid with."""
        settings = {**objects.customer()["invoice_settings"], "default_payment_method": card}
        self.happens("payment_method.attached", objects.payment_method(id=card, customer=self.customer), day=day)
        self.happens("customer.updated", objects.customer(id=self.customer, invoice_settings=settings), day=day)


def a_trial_is_upgraded_and_canceled(story: Story) -> None:
    trial: Object = {"trial_start": START, "trial_end": START + 14 * DAY}
    story.signs_up()
    session = {"id": f"cs_{story.name}", "customer": story.customer, "subscription": story.subscription}
    done = objects.checkout_session(**session, status="complete", payment_status="no_payment_required", url=None)
    story.happens("checkout.session.completed", done, day=0)
    story.subscribes("trialing", **trial)
    story.expect(subscription_status="trialing", access=True, price="price_small")

    story.changes("active", day=14, since=14, **trial)
    story.invoices("created", day=14, status="open")
    story.invoices("paid", day=14)
    end = START + 14 * DAY + objects.MONTH
    story.expect(subscription_status="active", access=True, invoice={story.invoice(): "paid"}, current_period_end=end)

    story.changes("active", day=20, since=14, price=LARGE, **trial)
    leaving: Object = {"cancel_at_period_end": True, "cancel_at": end, "canceled_at": START + 25 * DAY}
    story.changes("active", day=25, since=14, price=LARGE, **trial, **leaving)
    story.expect(subscription_status="active", access=True, cancel_at_period_end=True, price="price_large")

    gone = {**leaving, "ended_at": end}
    story.changes("canceled", day=44, since=14, price=LARGE, verb="deleted", **trial, **gone)
    story.expect(subscription_status="canceled", access=False, price="price_large")


def a_renewal_fails_and_recovers(story: Story) -> None:
    story.signs_up()
    story.subscribes("active")
    story.invoices("paid", day=0)
    story.changes("active", day=30, since=30)
    story.invoices("created", day=30, number=2, status="open")
    story.invoices("payment_failed", day=30.1, number=2, status="open")
    story.changes("past_due", day=30.1, since=30)
    failed = {story.invoice(1): "paid", story.invoice(2): "open"}
    story.expect(subscription_status="past_due", access="grace", invoice=failed)

    story.pays_with(f"pm_{story.name}", day=32)
    story.invoices("paid", day=32.1, number=2)
    story.changes("active", day=32.1, since=30)
    paid = {story.invoice(1): "paid", story.invoice(2): "paid"}
    story.expect(
        subscription_status="active", access=True, invoice=paid, default_payment_method=f"pm_{story.name}",
    )  # fmt: skip


def a_renewal_is_never_paid(story: Story) -> None:
    story.signs_up()
    story.subscribes("active")
    story.changes("active", day=30, since=30)
    story.invoices("payment_failed", day=30.1, status="open")
    story.changes("past_due", day=30.1, since=30)
    story.changes("unpaid", day=45, since=30)
    story.expect(subscription_status="unpaid", access=False, invoice={story.invoice(): "open"})

    story.invoices("marked_uncollectible", day=60, status="uncollectible")
    story.changes("canceled", day=60, since=30, verb="deleted", ended_at=START + 60 * DAY)
    story.expect(subscription_status="canceled", access=False, invoice={story.invoice(): "uncollectible"})


def a_first_payment_needs_authentication(story: Story) -> None:
    story.signs_up()
    story.subscribes("incomplete")
    story.invoices("created", day=0, status="open")
    story.invoices("payment_action_required", day=0, status="open")
    story.expect(subscription_status="incomplete", access=False, invoice={story.invoice(): "open"})

    story.invoices("paid", day=0.01)
    story.changes("active", day=0.01)
    story.expect(subscription_status="active", access=True, invoice={story.invoice(): "paid"})


def a_first_payment_never_comes(story: Story) -> None:
    story.signs_up()
    story.subscribes("incomplete")
    story.invoices("created", day=0, status="open")
    story.invoices("voided", day=1, status="void")
    story.changes("incomplete_expired", day=1)
    story.expect(subscription_status="incomplete_expired", access=False, invoice={story.invoice(): "void"})


def a_trial_is_paused_and_resumed(story: Story) -> None:
    trial: Object = {"trial_start": START, "trial_end": START + 7 * DAY}
    story.signs_up()
    story.subscribes("trialing", **trial)
    story.changes("paused", day=7, verb="paused", **trial)
    story.expect(subscription_status="paused", access=False)

    story.changes("active", day=10, since=10, verb="resumed", **trial)
    story.invoices("paid", day=10)
    story.expect(subscription_status="active", access=True, invoice={story.invoice(): "paid"})


def a_cancellation_is_taken_back(story: Story) -> None:
    story.signs_up()
    story.subscribes("active")
    story.changes(
        "active",
        day=3,
        cancel_at_period_end=True,
        cancel_at=START + objects.MONTH,
        canceled_at=START + 3 * DAY,
    )
    story.expect(subscription_status="active", access=True, cancel_at_period_end=True)

    story.changes("active", day=5)
    story.changes("active", day=30, since=30)
    end = START + 30 * DAY + objects.MONTH
    story.expect(subscription_status="active", access=True, cancel_at_period_end=False, current_period_end=end)


def everything_happens_within_a_second(story: Story) -> None:
    story.signs_up()
    story.subscribes("incomplete")
    story.changes("active", day=0)
    story.changes("active", day=0, price=LARGE)
    story.expect(subscription_status="active", access=True, price="price_large", events_stored=4)


def a_card_is_replaced(story: Story) -> None:
    old, new = f"pm_{story.name}_old", f"pm_{story.name}_new"
    story.signs_up()
    story.pays_with(old, day=1)
    story.expect(default_payment_method=old)

    story.pays_with(new, day=2)
    story.happens("payment_method.detached", objects.payment_method(id=old, customer=None), day=3)
    story.expect(default_payment_method=new, events_stored=6)


def a_checkout_is_left(story: Story) -> None:
    story.signs_up()
    session = {"id": f"cs_{story.name}", "customer": story.customer}
    story.happens(
        "checkout.session.expired",
        objects.checkout_session(**session, status="expired", url=None),
        day=1,
    )
    story.expect(events_stored=2)


def a_subscriber_deletes_everything(story: Story) -> None:
    story.signs_up()
    story.subscribes("active")
    story.invoices("paid", day=0)
    story.changes("canceled", day=2, verb="deleted", ended_at=START + 2 * DAY, canceled_at=START + 2 * DAY)
    story.happens("customer.deleted", objects.customer(id=story.customer), day=2)
    story.expect(subscription_status="canceled", access=False, invoice={story.invoice(): "paid"})


_STORIES: list[Callable[[Story], None]] = [
    a_trial_is_upgraded_and_canceled,
    a_renewal_fails_and_recovers,
    a_renewal_is_never_paid,
    a_first_payment_needs_authentication,
    a_first_payment_never_comes,
    a_trial_is_paused_and_resumed,
    a_cancellation_is_taken_back,
    everything_happens_within_a_second,
    a_card_is_replaced,
    a_checkout_is_left,
    a_subscriber_deletes_everything,
]


def checkpoints() -> list[Checkpoint]:
    """Every point of every story, in each API version."""
    return [
        Checkpoint(f"{story.name}-{number}", story.customer, events, expect, number == len(story.checkpoints))
        for version in VERSIONS
        for tell in _STORIES
        for story in [_written(tell, version)]
        for number, (events, expect) in enumerate(story.checkpoints, start=1)
    ]


def _written(tell: Callable[[Story], None], version: str) -> Story:
    story = Story(f"{tell.__name__.removeprefix('a_')}_{version[:4]}", version)
    tell(story)
    return story
