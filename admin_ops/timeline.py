"""The whole story of one customer, newest first: what she did, what was done to her, what the provider told of her, what
she was mailed, and what colleagues noted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q

from admin_ops.entry_labels import EntryLabel, label_audit_event, label_ledger_entry, label_mail, label_webhook_event
from saas.accounts.models import Impersonation, User
from saas.audit.models import AuditEvent
from saas.billing.models import Customer, Invoice, LedgerEntry, Subscription
from saas.mail.models import Mail
from saas.webhook_events.models import WebhookEvent

MAX_PER_SOURCE = 60  # of each source; the lists of their own have the rest
REQUEST = "impersonation.request"
SHOWN_ELSEWHERE = (REQUEST, "user.noted")  # the first as one line for each impersonation, the second as the note itself


@dataclass(frozen=True)
class TimelineEntry:
    """``kind`` is what the page filters by; ``link`` the page that knows more."""

    at: datetime
    kind: str
    label: EntryLabel
    by: str = ""
    link: tuple[str, Any] | None = None


def build_timeline(person: User) -> list[TimelineEntry]:
    """A dozen queries, whatever the length of the story."""
    hers = Customer.objects.filter(Q(user=person) | Q(team__owner=person))
    customers = list(hers) if settings.BILLING else []
    events = _events_of(customers)
    moments = [*_trail(person, customers, events), *_glances(person), *_mails(person), *_notes(person)]
    moments += [*_deliveries(events), *_invoices(customers), *_movements(customers)]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _trail(person: User, customers: list[Customer], events: list[WebhookEvent]) -> Iterator[TimelineEntry]:
    """What concerns her, her subscriptions, and the events that tell of them."""
    hers = list(Subscription.objects.filter(customer__in=customers).values_list("pk", flat=True)[:MAX_PER_SOURCE])
    hers += [event.external_id for event in events]
    told = AuditEvent.objects.involving(person.id) | AuditEvent.objects.filter(target__in=hers)
    rows = list(told.exclude(action__in=SHOWN_ELSEWHERE)[:MAX_PER_SOURCE])
    names = _names(rows, person)
    for row in rows:
        kind = "account" if row.actor in ("system", person.id) else "staff"
        yield TimelineEntry(
            row.at, kind, label_audit_event(row), names.get(row.actor, ""), ("audit_auditevent", row.pk)
        )


def _names(rows: Iterable[AuditEvent], person: User) -> dict[str, str]:
    """E-mail addresses of the others who acted."""
    others = {row.actor for row in rows} - {"system", person.id}
    return dict(User.objects.filter(pk__in=others).values_list("pk", "email"))


def _glances(person: User) -> Iterator[TimelineEntry]:
    """What staff looked at in her name: a line for each impersonation, not for each request."""
    lines = AuditEvent.objects.filter(action=REQUEST, act_as=person.id).order_by()
    counted = lines.values("data__impersonation").annotate(count=Count("pk"), last=Max("at"))
    looked = {row["data__impersonation"]: row for row in counted.order_by("-last")[:MAX_PER_SOURCE]}
    for row in Impersonation.objects.listed().filter(pk__in=looked):
        count, staff = looked[row.pk]["count"], row.staff_session.user
        sentence = EntryLabel(
            "visibility", f"{count} request{'s' if count != 1 else ''} in their name", row.reason, "warning"
        )
        page = ("accounts_impersonation", row.pk)
        yield TimelineEntry(looked[row.pk]["last"], "staff", sentence, staff.email if staff else "", page)


def _mails(person: User) -> Iterator[TimelineEntry]:
    for row in Mail.objects.filter(recipient=person.email).order_by("-pk")[:MAX_PER_SOURCE]:
        yield TimelineEntry(row.created_at, "mail", label_mail(row), link=("mail_mail", row.pk))


def _notes(person: User) -> Iterator[TimelineEntry]:
    for row in person.notes.select_related("author").order_by("-pk")[:MAX_PER_SOURCE]:
        yield TimelineEntry(row.created_at, "note", EntryLabel("sticky_note_2", "Note", row.text), row.author.email)


def _events_of(customers: list[Customer]) -> list[WebhookEvent]:
    known_as = [customer.external_id for customer in customers if customer.external_id]
    return list(WebhookEvent.objects.filter(customer_id__in=known_as).order_by("-pk")[:MAX_PER_SOURCE])


def _deliveries(events: list[WebhookEvent]) -> Iterator[TimelineEntry]:
    for row in events:
        yield TimelineEntry(
            row.received_at, "webhook", label_webhook_event(row), link=("webhook_events_webhookevent", row.pk)
        )


def _invoices(customers: list[Customer]) -> Iterator[TimelineEntry]:
    for row in Invoice.objects.filter(customer__in=customers).order_by("-pk")[:MAX_PER_SOURCE]:
        paid = row.status == Invoice.Status.PAID
        title = f"Invoice {row.number or row.external_id} {'paid' if paid else row.status}"
        tone = "success" if paid else "warning"
        sentence = EntryLabel("receipt_long", title, str(row.total), tone)
        yield TimelineEntry(row.paid_at or row.issued_at, "money", sentence, link=("billing_invoice", row.pk))


def _movements(customers: list[Customer]) -> Iterator[TimelineEntry]:
    rows = LedgerEntry.objects.filter(subscription__customer__in=customers).select_related("subscription__plan")
    for row in rows.order_by("-pk")[:MAX_PER_SOURCE]:
        yield TimelineEntry(
            row.at, "money", label_ledger_entry(row), link=("billing_subscription", row.subscription_id)
        )
