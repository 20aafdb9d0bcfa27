"""What happened to one user, newest first: what they did, what staff did, webhook events, money, mails and notes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q

from admin_ops.entry_labels import (
    EntryLabel,
    label_audit_event,
    label_invoice,
    label_ledger_entry,
    label_mail,
    label_webhook_event,
)
from saas.accounts.models import Impersonation, User
from saas.audit.models import AuditEvent
from saas.billing.models import Customer, Invoice, LedgerEntry, Subscription
from saas.mail.models import Mail
from saas.webhook_events.models import WebhookEvent

MAX_PER_SOURCE = 60  # longer lists have pages of their own
REQUEST = "impersonation.request"
SHOWN_ELSEWHERE = (REQUEST, "user.noted")  # as one entry for each impersonation, and as the note


@dataclass(frozen=True)
class TimelineEntry:
    """``kind`` is what the page filters by, ``by`` an e-mail address, ``link`` a table and primary key."""

    at: datetime
    kind: str
    label: EntryLabel
    by: str = ""
    link: tuple[str, Any] | None = None


def build_timeline(user: User) -> list[TimelineEntry]:
    """Takes about a dozen queries, however long it is."""
    customers = list(Customer.objects.filter(Q(user=user) | Q(team__owner=user))) if settings.BILLING else []
    provider_ids = [customer.external_id for customer in customers if customer.external_id]
    events = list(WebhookEvent.objects.filter(customer_id__in=provider_ids).order_by("-pk")[:MAX_PER_SOURCE])
    entries = [
        *_audit_entries(user, customers, events),
        *_impersonation_entries(user),
        *_mails_and_notes(user),
        *(
            TimelineEntry(
                row.received_at, "webhook", label_webhook_event(row), link=("webhook_events_webhookevent", row.pk)
            )
            for row in events
        ),
        *_billing_entries(customers),
    ]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def _audit_entries(user: User, customers: list[Customer], events: list[WebhookEvent]) -> Iterator[TimelineEntry]:
    """Audit events that involve the user, their subscriptions, or webhook events about these."""
    targets = list(Subscription.objects.filter(customer__in=customers).values_list("pk", flat=True)[:MAX_PER_SOURCE])
    targets += [event.external_id for event in events]
    involved = AuditEvent.objects.involving(user.id) | AuditEvent.objects.filter(target__in=targets)
    rows = list(involved.exclude(action__in=SHOWN_ELSEWHERE)[:MAX_PER_SOURCE])
    others = {row.actor for row in rows} - {"system", user.id}
    emails = dict(User.objects.filter(pk__in=others).values_list("pk", "email"))
    for row in rows:
        kind = "account" if row.actor in ("system", user.id) else "staff"
        yield TimelineEntry(
            row.at, kind, label_audit_event(row), emails.get(row.actor, ""), ("audit_auditevent", row.pk)
        )


def _impersonation_entries(user: User) -> Iterator[TimelineEntry]:
    """One entry for each impersonation with requests, not for each request."""
    requests = AuditEvent.objects.filter(action=REQUEST, act_as=user.id).order_by()
    counted = requests.values("data__impersonation").annotate(count=Count("pk"), last=Max("at"))
    by_impersonation = {row["data__impersonation"]: row for row in counted.order_by("-last")[:MAX_PER_SOURCE]}
    for row in Impersonation.objects.listed().filter(pk__in=by_impersonation):
        counts, staff = by_impersonation[row.pk], row.staff_session.user
        title = f"{counts['count']} request{'s' if counts['count'] != 1 else ''} in their name"
        label = EntryLabel("visibility", title, row.reason, "warning")
        page = ("accounts_impersonation", row.pk)
        yield TimelineEntry(counts["last"], "staff", label, staff.email if staff else "", page)


def _mails_and_notes(user: User) -> Iterator[TimelineEntry]:
    for mail in Mail.objects.filter(recipient=user.email).order_by("-pk")[:MAX_PER_SOURCE]:
        yield TimelineEntry(mail.created_at, "mail", label_mail(mail), link=("mail_mail", mail.pk))
    for note in user.notes.select_related("author").order_by("-pk")[:MAX_PER_SOURCE]:
        yield TimelineEntry(note.created_at, "note", EntryLabel("sticky_note_2", "Note", note.text), note.author.email)


def _billing_entries(customers: list[Customer]) -> Iterator[TimelineEntry]:
    for invoice in Invoice.objects.filter(customer__in=customers).order_by("-pk")[:MAX_PER_SOURCE]:
        page = ("billing_invoice", invoice.pk)
        yield TimelineEntry(invoice.paid_at or invoice.issued_at, "money", label_invoice(invoice), link=page)
    entries = LedgerEntry.objects.filter(subscription__customer__in=customers).select_related("subscription__plan")
    for entry in entries.order_by("-pk")[:MAX_PER_SOURCE]:
        page = ("billing_subscription", entry.subscription_id)
        yield TimelineEntry(entry.at, "money", label_ledger_entry(entry), link=page)
