"""What happened to a user or a team, newest first: what they did, what staff did, webhook events, money, mails and notes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet

from admin_ops.entry_labels import (
    EntryLabel,
    label_adjustment,
    label_audit_event,
    label_invoice,
    label_ledger_entry,
    label_mail,
    label_webhook_event,
)
from saas.accounts.models import Impersonation, User
from saas.accounts.privacy.personal_values import proven_addresses_of
from saas.audit.models import AuditEvent
from saas.billing.models import Customer, Invoice, InvoiceAdjustment, LedgerEntry, Subscription
from saas.mail.models import Mail
from saas.teams.models import Team
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
    customers = list(Customer.objects.of_user(user)) if settings.BILLING else []
    return _newest_first(*_entries(user.pk, customers), *_impersonation_entries(user), *_mails_and_notes(user))


def build_team_timeline(team: Team) -> list[TimelineEntry]:
    return _newest_first(*_entries(team.pk, list(Customer.objects.for_owner(team)) if settings.BILLING else []))


def build_subscription_timeline(row: Subscription) -> list[TimelineEntry]:
    """What its events, invoices and movements of revenue say, and what was done about it."""
    invoices = Invoice.objects.filter(customer=row.customer, subscription_id=row.external_id).order_by("-pk")
    newest = list(invoices[:MAX_PER_SOURCE])
    objects = [row.external_id, *(invoice.external_id for invoice in newest)]
    events = list(WebhookEvent.objects.filter(object_id__in=objects).order_by("-pk")[:MAX_PER_SOURCE])
    targets = [row.pk, *(invoice.pk for invoice in newest), *(event.external_id for event in events)]
    entries = LedgerEntry.objects.filter(subscription=row).select_related("subscription__plan")
    return _newest_first(
        *_audit_entries(targets),
        *_webhook_entries(events),
        *(_invoice_entry(invoice) for invoice in newest),
        *_ledger_entries(entries),
    )


def _newest_first(*entries: TimelineEntry) -> list[TimelineEntry]:
    return sorted(entries, key=lambda entry: entry.at, reverse=True)


def _entries(subject: str, customers: list[Customer]) -> Iterator[TimelineEntry]:
    """``subject`` is the id of the user or team."""
    provider_ids = [customer.external_id for customer in customers if customer.external_id]
    events = list(WebhookEvent.objects.filter(customer_id__in=provider_ids).order_by("-pk")[:MAX_PER_SOURCE])
    yield from _audit_entries([subject, *_billing_ids(customers), *(event.external_id for event in events)], subject)
    yield from _webhook_entries(events)
    yield from _billing_entries(customers)


def _webhook_entries(events: Iterable[WebhookEvent]) -> Iterator[TimelineEntry]:
    for row in events:
        page = ("webhook_events_webhookevent", row.pk)
        yield TimelineEntry(row.received_at, "webhook", label_webhook_event(row), link=page)


def _billing_ids(customers: list[Customer]) -> list[str]:
    """The ids of the customers, and of their newest subscriptions and invoices."""
    ids = [customer.pk for customer in customers]
    for model in (Subscription, Invoice):
        mine = model._default_manager.filter(customer__in=customers).order_by("-pk")
        ids += list(mine.values_list("pk", flat=True)[:MAX_PER_SOURCE])
    return ids


def _audit_entries(targets: list[str], subject: str = "") -> Iterator[TimelineEntry]:
    """``subject`` is the id of the user or team whose page it is; its own events show no name.

    What staff did has a query of its own: the many newer events of a busy account would push it out.
    """
    shown = AuditEvent.objects.exclude(action__in=SHOWN_ELSEWHERE)
    about = Q(target__in=targets) | Q(act_as=subject) if subject else Q(target__in=targets)
    own = Q(actor=subject) if subject else Q()
    by_staff = Q(actor__in=User.objects.filter(is_staff=True).exclude(pk=subject).values("pk"))
    of_kind = {
        "staff": list(shown.filter(about & by_staff)[:MAX_PER_SOURCE]),
        "account": list(shown.filter((about | own) & ~by_staff)[:MAX_PER_SOURCE]),
    }
    others = {row.actor for rows in of_kind.values() for row in rows} - {"system", subject}
    emails = dict(User.objects.filter(pk__in=others).values_list("pk", "email"))
    for kind, rows in of_kind.items():
        for row in rows:
            page = ("audit_auditevent", row.pk)
            yield TimelineEntry(row.at, kind, label_audit_event(row), emails.get(row.actor, ""), page)


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
    for mail in Mail.objects.filter(recipient__in=proven_addresses_of(user)).order_by("-pk")[:MAX_PER_SOURCE]:
        yield TimelineEntry(mail.created_at, "mail", label_mail(mail), link=("mail_mail", mail.pk))
    for note in user.notes.select_related("author").order_by("-pk")[:MAX_PER_SOURCE]:
        yield TimelineEntry(note.created_at, "note", EntryLabel("sticky_note_2", "Note", note.text), note.author.email)


def _billing_entries(customers: list[Customer]) -> Iterator[TimelineEntry]:
    for invoice in Invoice.objects.filter(customer__in=customers).order_by("-pk")[:MAX_PER_SOURCE]:
        yield _invoice_entry(invoice)
    for adjustment in InvoiceAdjustment.objects.filter(customer__in=customers).order_by("-pk")[:MAX_PER_SOURCE]:
        its_invoice = ("billing_invoice", adjustment.invoice_id) if adjustment.invoice_id else None
        yield TimelineEntry(adjustment.opened_at, "money", label_adjustment(adjustment), link=its_invoice)
    entries = LedgerEntry.objects.filter(subscription__customer__in=customers).select_related("subscription__plan")
    yield from _ledger_entries(entries)


def _invoice_entry(row: Invoice) -> TimelineEntry:
    return TimelineEntry(row.paid_at or row.issued_at, "money", label_invoice(row), link=("billing_invoice", row.pk))


def _ledger_entries(entries: QuerySet[LedgerEntry]) -> Iterator[TimelineEntry]:
    for entry in entries.order_by("-pk")[:MAX_PER_SOURCE]:
        page = ("billing_subscription", entry.subscription_id)
        yield TimelineEntry(entry.at, "money", label_ledger_entry(entry), link=page)
