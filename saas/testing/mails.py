"""Read sent mails as their recipients do."""

import re

from django.core import mail as outbox
from django.core.mail import EmailMessage

from saas.mail import delivery

# What each template is given, by the actions that queue it. An action may leave out what its row would hold empty.
MAIL_VALUES: dict[str, dict[str, str]] = {
    "account_handed_over": {},
    "api_key_created": {
        "name": "Kim Lee", "key": "CI", "team": "Engineering", "team_id": "team_01", "maker": "Ola Other",
        "may": "read and write", "until": "28 November 2027",
    },
    "confirm_new_email": {"name": "Kim Lee"},
    "deletion_canceled": {"name": "Kim Lee", "banned": ""},
    "deletion_requested": {"name": "Kim Lee", "due": "12 December 2026"},
    "email_change_requested": {"name": "Kim Lee"},
    "email_changed": {"name": "Kim Lee"},
    "identity_linked": {"name": "Kim Lee", "provider": "Google"},
    "identity_unlinked": {"name": "Kim Lee", "provider": "Google"},
    "mfa_disabled": {"name": "Kim Lee"},
    "mfa_enabled": {"name": "Kim Lee"},
    "mfa_recovery_codes_renewed": {"name": "Kim Lee"},
    "mfa_reset": {"name": "Kim Lee"},
    "new_device": {"name": "Kim Lee", "agent": "Firefox", "address": "192.0.2.1"},
    "password_changed": {"name": "Kim Lee", "ended": "2"},
    "password_reset": {"name": "Kim Lee"},
    "billing_alert": {
        "what": "A dispute is open: du_1", "reason": "79.00 USD. fraudulent", "event_id": "evt_1",
        "customers": "http://localhost:8001/admin/billing/customer/",
    },
    "card_expiring": {"name": "Kim Lee", "card": "visa 4242", "month": "12/2026"},
    "payment_action_required": {
        "name": "Kim Lee", "amount": "79.00 USD", "number": "A-0001",
    },
    "payment_failed": {
        "name": "Kim Lee", "amount": "79.00 USD", "number": "A-0001",
    },
    "payment_refunded": {"name": "Kim Lee", "amount": "19.00 USD", "number": "A-0001"},
    "price_change": {
        "name": "Kim Lee", "plan": "Growth", "amount": "79.00 USD", "new_amount": "99.00 USD", "day": "12 December 2026",
    },
    "receipt": {"name": "Kim Lee", "amount": "79.00 USD", "number": "A-0001"},
    "renewal_upcoming": {"name": "Kim Lee", "plan": "Growth", "amount": "948.00 USD", "day": "12 December 2026"},
    "subscription_canceled": {"name": "Kim Lee", "plan": "Growth"},
    "recovery_code_used": {"name": "Kim Lee", "left": "1"},
    "register_attempt": {"name": "Kim Lee"},
    "session_ended_reuse": {"name": "Kim Lee"},
    "team_invitation": {"team": "Engineering", "inviter": "Ola Other"},
    "trial_ending": {"name": "Kim Lee", "plan": "Growth", "day": "12 December 2026"},
    "verify_email": {"name": "Kim Lee"},
    "webhook_alert": {
        "what": "an event has failed: invoice.paid", "reason": "Timeout", "event_id": "evt_1", "event_type": "invoice.paid",
        "logs": "http://localhost:8003/api/webhooks/logs", "minutes": "15",
    },
    "welcome": {"name": "Kim Lee"},
}  # fmt: skip


def deliver_queued_mails(template: str = "") -> list[EmailMessage]:
    """Send the queued mails (of one template, if named), and return them."""
    from saas.mail.models import Mail

    before = len(outbox.outbox)
    for row in Mail.objects.filter(status=Mail.Status.QUEUED).order_by("pk"):
        if template in {"", row.template}:
            assert MAIL_VALUES[row.template].keys() <= row.context.keys(), row
            delivery.deliver_mail(row.pk)
    return list(outbox.outbox[before:])


def link_token(template: str) -> str:
    """Return the token of the link in the newest mail of ``template``."""
    found = re.search(r"token=(\S+)", str(deliver_queued_mails(template)[-1].body))
    assert found
    return found[1]
