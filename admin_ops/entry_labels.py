"""One line for each kind of row in a timeline: icon, title, detail and colour."""

from dataclasses import dataclass

from admin_ops.actions import ALL_ACTIONS
from admin_ops.event_sentences import event_sentence
from admin_ops.status_colors import BAD, GOOD, NEWS, WARN, humanize, status_color
from saas.audit.models import AuditEvent
from saas.billing.models import Invoice, InvoiceAdjustment, LedgerEntry
from saas.mail.models import Mail
from saas.webhook_events.models import WebhookEvent

DETAIL_LENGTH = 300


@dataclass(frozen=True)
class EntryLabel:
    """``icon`` is the name of a Material Symbol, ``color`` one of ``status_colors``, ``code`` what programs call it."""

    icon: str
    title: str
    detail: str = ""
    color: str = ""
    code: str = ""


# By the audit event's action: icon, title, color. Those of staff actions stand in their table.
_AUDIT_LABELS: dict[str, tuple[str, str, str]] = {
    **{
        label.action: (label.icon or action.icon, label.title, label.color)
        for action in ALL_ACTIONS
        for label in action.audit
    },
    "user.registered": ("person_add", "Registered", GOOD),
    "user.imported": ("person_add", "Imported from another system", GOOD),
    "user.deletion_requested": ("delete", "Asked for the account's deletion", BAD),
    "user.keep_link_sent": ("mail", "Was mailed the link that keeps the account", NEWS),
    "user.deletion_canceled": ("undo", "Kept the account", GOOD),
    "user.handed_over": ("handshake", "Proved the mailbox of an unconfirmed account", WARN),
    "user.disowned": ("person_off", "Removed by the mailbox's owner, who had not registered", BAD),
    "session.opened": ("login", "Logged in", ""),
    "session.closed": ("logout", "Logged out", ""),
    "session.closed_all": ("logout", "Logged out everywhere", ""),
    "session.closed_others": ("logout", "Logged out other devices", ""),
    "session.refresh_reused": ("gpp_bad", "A refresh token was used again, so the session was ended", BAD),
    "password.changed": ("password", "Changed the password", ""),
    "password.reset": ("password", "Set a new password by mail", ""),
    "email.verified": ("mark_email_read", "Verified the e-mail address", GOOD),
    "email.changed": ("alternate_email", "Changed the e-mail address", WARN),
    "email.change_disowned": ("alternate_email", "The change was called off by the address's owner", WARN),
    "email.change_requested": ("alternate_email", "Asked to change the e-mail address", ""),
    "profile.updated": ("edit", "Edited the profile", ""),
    "checkout.started": ("shopping_cart", "Started a checkout", NEWS),
    "impersonation.view_opened": ("visibility", "Opened the impersonated view", WARN),
    "impersonation.refused": ("visibility_off", "Impersonation refused", ""),
}


def label_audit_event(row: AuditEvent) -> EntryLabel:
    """An action without a label is shown by its name: ``team.created`` as "Team created"."""
    known = _AUDIT_LABELS.get(row.action)
    icon, title, color = known or ("history", humanize(row.action.replace(".", " ")).capitalize(), "")
    facts = [f"{humanize(name)}: {value}" for name, value in row.data.items() if isinstance(value, str | int)]
    origin = [f"from {row.address}"] if row.address else []
    return EntryLabel(icon, title, row.reason or " · ".join([*facts, *origin])[:DETAIL_LENGTH], color)


def label_webhook_event(row: WebhookEvent) -> EntryLabel:
    title = f"{event_sentence(row.type)} – {humanize(row.status)}"
    return EntryLabel("webhook", title, row.last_error[:DETAIL_LENGTH], status_color(row.status), row.type)


def label_mail(row: Mail) -> EntryLabel:
    return EntryLabel("mail", f"Mail “{humanize(row.template)}” {row.status}", row.last_error, status_color(row.status))


_MOVEMENTS = {
    "trial_started": NEWS,
    "trial_ended": WARN,
    "new": GOOD,
    "upgrade": GOOD,
    "reactivated": GOOD,
    "recovered": GOOD,
    "canceled": BAD,
    "past_due": WARN,
}


def label_invoice(row: Invoice) -> EntryLabel:
    paid = row.status == Invoice.Status.PAID
    title = f"Invoice {row.number or row.external_id} {'paid' if paid else row.status}"
    return EntryLabel("receipt_long", title, str(row.total), GOOD if paid else WARN)


def label_adjustment(row: InvoiceAdjustment) -> EntryLabel:
    is_lost = row.kind == InvoiceAdjustment.Kind.DISPUTE and row.status != "won"
    is_warning = row.kind == InvoiceAdjustment.Kind.FRAUD_WARNING
    title = humanize(row.kind) + (f": {humanize(row.status)}" if row.status else "")
    detail = row.reason if is_warning else f"{row.amount} {row.reason}".strip()
    return EntryLabel("currency_exchange", title, detail, BAD if is_lost or is_warning else WARN)


def label_ledger_entry(row: LedgerEntry) -> EntryLabel:
    plan = row.subscription.plan.name if row.subscription.plan else row.subscription.price_id
    monthly = f"{row.monthly} a month"
    return EntryLabel("autorenew", f"{plan}: {humanize(row.kind)}", monthly, _MOVEMENTS.get(row.kind, ""))
