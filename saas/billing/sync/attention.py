"""What of the provider's objects cannot be read or counted: on the row, on the event that says so, and in a mail to staff."""

from dataclasses import dataclass

from django.conf import settings

from saas.billing.models import Invoice, Subscription
from saas.mail.actions import queue_mail
from saas.webhook_events.actions import set_attention


@dataclass(frozen=True)
class Attention:
    """``reason`` is empty where none is needed; ``event_id`` is the provider's."""

    reason: str = ""
    event_id: str = ""


def attention_of(row: Subscription | Invoice | None) -> Attention:
    return Attention(row.attention, row.attention_event_id) if row else Attention()


def mark_events(before: Attention, row: Subscription | Invoice) -> None:
    """After the row was written: mark the event that says so, and no longer the one that said so before."""
    after = attention_of(row)
    if before == after:
        return
    if before.event_id and before.event_id != after.event_id:
        set_attention(before.event_id, "")
    if after.event_id:
        set_attention(after.event_id, after.reason)
        mail_staff(f"{row._meta.verbose_name} {row.external_id} needs attention", after.reason, after.event_id)


def mail_staff(what: str, reason: str, event_id: str, *, is_per_event: bool = True) -> None:
    """Queue a mail to ``BILLING_NOTIFY_EMAIL``, once for ``what`` it is about: for each event, or however many report it."""
    if settings.BILLING_NOTIFY_EMAIL:
        context = {"what": what, "reason": reason, "event_id": event_id, "customers": _customers_page()}
        key = (f"billing_alert:{event_id}:{what}" if is_per_event else f"billing_alert:{what}")[:200]
        queue_mail("billing_alert", to=settings.BILLING_NOTIFY_EMAIL, locale="en", context=context, dedupe_key=key)


def _customers_page() -> str:
    return f"{settings.SERVICE_BASE_URLS['admin_ops']}/admin/billing/customer/"
