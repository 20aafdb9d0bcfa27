"""The rows that raise alarms, and what each says."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Model, QuerySet, TextChoices
from django.utils import timezone

from saas.billing import clock
from saas.billing.linking.evidence import newest_event_id
from saas.billing.models import Customer, Invoice, InvoiceAdjustment, Subscription
from saas.webhook_events.models import WebhookEvent

FRAUD_WARNING_PERIOD = timedelta(days=120)  # afterwards a dispute is not to be expected


class AlarmKind(TextChoices):
    FAILED_EVENT = "failed_event", "Failed event"
    PAYS_HAS_NOTHING = "pays_has_nothing", "Pays, has nothing"
    UNMAPPED_PRICE = "unmapped_price", "Unmapped price"
    PAID_WITHOUT_SUBSCRIPTION = "paid_without_subscription", "Paid invoice without subscription"
    PAST_DUE = "past_due", "Past due"
    NEEDS_ATTENTION = "needs_attention", "Needs attention"
    OPEN_DISPUTE = "open_dispute", "Open dispute"
    FRAUD_WARNING = "fraud_warning", "Early fraud warning"
    CHARGED_WHILE_CLOSED = "charged_while_closed", "Charged while banned or deleted"


@dataclass(frozen=True)
class Alarm:
    """``target`` is the row it is about; ``event_id`` the provider's; ``remedy`` the name of a staff
    action on ``remedy_target``, empty where only the provider's dashboard helps."""

    kind: AlarmKind
    target: Model
    customer: Customer | None
    external_id: str
    reason: str
    event_id: str
    remedy: str
    remedy_target: Model

    @property
    def sentence(self) -> str:
        return f"{self.reason[:1].upper()}{self.reason[1:].removesuffix('.')}."


@dataclass(frozen=True)
class AlarmSource:
    """The rows of one table that raise alarms of a ``kind``. ``reason``, ``event_id`` and ``remedy_target`` read a row."""

    kind: AlarmKind
    rows: Callable[[], QuerySet[Any]]
    reason: Callable[[Any], str]
    event_id: Callable[[Any], str]
    remedy: str
    remedy_target: Callable[[Any], Model] = lambda row: row

    def rows_of(self, customers: Collection[Customer]) -> QuerySet[Any]:
        rows = self.rows()
        if rows.model is Customer:
            return rows.filter(pk__in=[customer.pk for customer in customers])
        if rows.model is WebhookEvent:  # which knows the provider's ids alone
            return rows.filter(customer_id__in=[row.external_id for row in customers if row.external_id])
        return rows.filter(customer__in=customers)

    def alarm(self, row: Any) -> Alarm:
        customer = row if isinstance(row, Customer) else getattr(row, "customer", None)
        return Alarm(
            kind=self.kind,
            target=row,
            customer=customer,
            external_id=row.external_id,
            reason=self.reason(row),
            event_id=self.event_id(row),
            remedy=self.remedy,
            remedy_target=self.remedy_target(row),
        )


def _known_subscriptions_needing_attention() -> QuerySet[Subscription]:
    """Those whose plan is known: one with an unmapped price raises an alarm of its own, which tells the remedy."""
    return Subscription.objects.needing_attention().exclude(
        pk__in=Subscription.objects.with_unknown_plan().values("pk")
    )


def _event_problem(row: WebhookEvent) -> str:
    error = f": {row.last_error}" if row.last_error else ""
    again = ", and will be tried again" if row.status == WebhookEvent.Status.RETRY_SCHEDULED else ""
    name = f"the event {row.type}" if row.type else "an unreadable event"
    return f"{name} had no effect{again}{error}"


def _overdue(row: Subscription) -> str:
    since = f" since {row.past_due_since:%-d %b %Y}" if row.past_due_since else ""
    goes_on = row.grants_access(clock.now())
    access = f"access goes on until {row.grace_ends_at:%-d %b %Y}" if goes_on else "access has ended"
    return f"{row.monthly} a month are unpaid{since}; {access}"


SOURCES = [
    AlarmSource(
        AlarmKind.FAILED_EVENT,
        lambda: WebhookEvent.objects.in_trouble(),
        _event_problem,
        lambda row: row.external_id,
        "replay",
    ),
    AlarmSource(
        AlarmKind.PAYS_HAS_NOTHING,
        lambda: Customer.objects.paying_for_nothing(),
        lambda row: f"customer {row.email or row.external_id} pays, and no account has it",
        lambda row: newest_event_id(row.external_id, "customer.subscription."),
        "link-customer",
    ),
    AlarmSource(
        AlarmKind.UNMAPPED_PRICE,
        lambda: Subscription.objects.with_unknown_plan().linked().select_related("customer"),
        lambda row: row.attention or f"price {row.price_id} stands for no plan",
        lambda row: row.attention_event_id,
        "map-price",
    ),
    AlarmSource(
        AlarmKind.PAST_DUE,
        lambda: Subscription.objects.unpaid().linked().select_related("customer"),
        _overdue,
        lambda row: newest_event_id(row.customer.external_id, "invoice.payment_failed"),
        "refresh",
    ),
    AlarmSource(
        AlarmKind.NEEDS_ATTENTION,
        lambda: _known_subscriptions_needing_attention().select_related("customer"),
        lambda row: row.attention,
        lambda row: row.attention_event_id,
        "refresh",
    ),
    AlarmSource(
        AlarmKind.NEEDS_ATTENTION,
        lambda: Invoice.objects.needing_attention().select_related("customer"),
        lambda row: row.attention,
        lambda row: row.attention_event_id,
        "refresh",
    ),
    AlarmSource(
        AlarmKind.PAID_WITHOUT_SUBSCRIPTION,
        lambda: Invoice.objects.paid_without_subscription().select_related("customer"),
        lambda row: f"{row.amount_paid} were paid for {row.subscription_id}, which is not here",
        lambda row: newest_event_id(row.customer.external_id if row.customer else "", "invoice."),
        "refresh",
    ),
    AlarmSource(
        AlarmKind.OPEN_DISPUTE,
        lambda: InvoiceAdjustment.objects.open_disputes().select_related("customer"),
        lambda row: f"{row.amount} are disputed: {row.reason or 'no reason is given'} ({row.status})",
        lambda row: row.event_id,
        "",
    ),
    AlarmSource(
        AlarmKind.FRAUD_WARNING,
        lambda: InvoiceAdjustment.objects.fraud_warnings(timezone.now() - FRAUD_WARNING_PERIOD).select_related(
            "customer", "invoice"
        ),
        lambda row: f"the bank warns of fraud: {row.reason or 'no reason is given'}",
        lambda row: row.event_id,
        "refund",
        remedy_target=lambda row: row.invoice or row,
    ),
    AlarmSource(
        AlarmKind.CHARGED_WHILE_CLOSED,
        lambda: Subscription.objects.renewing_of_closed_accounts().select_related("customer"),
        lambda row: f"{row.monthly} a month is still charged, and the person cannot log in to cancel it",
        lambda row: newest_event_id(row.customer.external_id, "customer.subscription."),
        "cancel",
    ),
]
