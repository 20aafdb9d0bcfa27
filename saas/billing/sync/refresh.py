"""Asking the provider how a subscription or an invoice stands, for staff."""

from saas.accounts.models import User
from saas.audit.actions import LONGEST_REASON, record
from saas.billing import providers
from saas.billing.customers import apply_pending_events
from saas.billing.models import Invoice, Subscription


def refresh_subscription_by_staff(row: Subscription, *, reason: str, by: User) -> Subscription:
    """Store what the provider says of the subscription and its customer's invoices now. Raises what the provider raises."""
    gateway = providers.current_gateway()
    gateway.fetch_subscription(row.external_id)
    for invoice in row.customer.invoices.filter(subscription_id=row.external_id).needing_attention():
        gateway.fetch_object("invoice", invoice.external_id)
    apply_pending_events(row.customer)
    record("subscription.refreshed", actor=by.pk, target=row.pk, reason=reason.strip()[:LONGEST_REASON])
    row.refresh_from_db()
    return row


def refresh_invoice_by_staff(invoice: Invoice, *, reason: str, by: User) -> Invoice:
    """Store what the provider says of the invoice and of its subscription now. Raises what the provider raises."""
    gateway = providers.current_gateway()
    gateway.fetch_object("invoice", invoice.external_id)
    if invoice.subscription_id:
        gateway.fetch_subscription(invoice.subscription_id)
    if invoice.customer:
        apply_pending_events(invoice.customer, invoice.external_id)
    record("invoice.refreshed", actor=by.pk, target=invoice.pk, reason=reason.strip()[:LONGEST_REASON])
    invoice.refresh_from_db()
    return invoice
