"""Giving money back: a refund, a credit for the next invoices, and an end at once with a refund of the rest.

For Admin ops, with ``by`` the member of staff; the caller checks who may do this:

    refund_invoice(invoice, amount_cents=None, reason="…", by=sam)          -> Invoice; without an amount all that is left
    credit_customer(customer, amount_cents=500, currency="usd", reason="…", by=sam)
    cancel_with_refund(subscription, reason="…", by=sam)                    -> Subscription

A refund's idempotency key holds what was returned before it: a repeated click is the same refund, a second one is not. Of credits
the same one again is another only after a quarter of an hour.
"""

from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone

from saas.accounts.models import User
from saas.audit.actions import record, require_reason
from saas.audit.models import AuditEvent
from saas.billing import clock, providers
from saas.billing.customers import apply_pending_events, numbered_key
from saas.billing.models import Customer, Invoice, InvoiceAdjustment, Subscription
from saas.billing.providers import IdempotencyMismatch, ProviderFailed, UnansweredRefund
from saas.billing.subscriptions import refresh_after_refusal
from saas.billing.sync import event_history, stripe_objects
from saas.errors import DomainError, Invalid
from saas.money import Money, smallest_payment

LARGEST_CREDIT_CENTS = 100_000_000
SAME_CREDIT = timedelta(minutes=15)
KEY_LIFETIME = timedelta(days=1)  # of an idempotency key at the provider
CLOCKS_DIFFER = timedelta(minutes=10)  # also the longest call: its refund is older than its failure
_REFUND = InvoiceAdjustment.Kind.REFUND


class NothingToRefund(DomainError):
    code, title = "nothing_to_refund", "Nothing of what was paid is left to refund."  # 409


class PaymentDisputed(DomainError):
    code, title = "payment_disputed", "This payment is disputed: the bank has the money until that is decided."  # 409


def refund_invoice(invoice: Invoice, *, amount_cents: int | None, reason: str, by: User) -> Invoice:
    """Raises ``NothingToRefund``, ``PaymentDisputed``, ``Invalid``, and what the provider refuses. Access stays as it is."""
    why, left = require_reason(reason), invoice.net_paid.minor
    if invoice.status != Invoice.Status.PAID or left <= 0 or invoice.customer is None:
        raise NothingToRefund
    amount = left if amount_cents is None else amount_cents
    if not 0 < amount <= left:
        raise Invalid(errors={"amount_cents": [f"Choose an amount of at most {invoice.net_paid}."]})
    if amount != left and amount % (step := smallest_payment(invoice.currency)):
        raise Invalid(errors={"amount_cents": [f"Choose a multiple of {Money(step, invoice.currency)}."]})
    _require_undisputed(invoice)
    refund_id = _found_or_made(invoice, amount, why)
    apply_pending_events(invoice.customer, refund_id)
    facts: dict[str, Any] = {"amount_cents": amount, "currency": invoice.currency, "refund_id": refund_id}
    record("invoice.refunded", actor=by.pk, target=invoice.pk, reason=why, **facts)
    invoice.refresh_from_db()
    return invoice


def _require_undisputed(invoice: Invoice) -> None:
    """A bank's inquiry (a dispute whose status begins with "warning") does not prevent a refund, which may even end it."""
    if invoice.adjustments.open_disputes().exclude(status__startswith="warning").exists():
        raise PaymentDisputed


def _found_or_made(invoice: Invoice, amount_cents: int, reason: str) -> str:
    """The id of the refund. An answer that the provider would repeat for a day (an error of its own, other parameters, a refund
    that has failed since) ends its idempotency key; before another refund is made, the one of such a call is looked for."""
    failed = invoice.adjustments.filter(kind=_REFUND, status__in=InvoiceAdjustment.FAILED_REFUNDS).count()
    key = f"refund:{invoice.pk}:{invoice.returned_cents}:{amount_cents}"
    try:
        return providers.current_gateway().refund_invoice(
            invoice.external_id,
            amount_cents=amount_cents,
            reason=reason,
            idempotency_key=numbered_key(key, invoice.refund_attempt + failed),
            unanswered=_unanswered_call(invoice),
        )
    except (ProviderFailed, IdempotencyMismatch):
        _end_refund_key(invoice)
        raise


def _end_refund_key(invoice: Invoice) -> None:
    mine = Invoice.objects.filter(pk=invoice.pk, refund_attempt=invoice.refund_attempt)
    mine.update(refund_attempt=F("refund_attempt") + 1, refund_failed_at=timezone.now())


def _unanswered_call(invoice: Invoice) -> UnansweredRefund | None:
    """The last call that brought no answer, whose refund may have been made: asked again a day later, another one is meant."""
    failed_at = invoice.refund_failed_at
    if failed_at is None or failed_at <= timezone.now() - KEY_LIFETIME:
        return None
    return UnansweredRefund(since=failed_at - CLOCKS_DIFFER, answered=_answered(invoice))


def _answered(invoice: Invoice) -> frozenset[str]:
    """The refunds that earlier calls were told of."""
    calls = AuditEvent.objects.filter(action="invoice.refunded", target=invoice.pk)
    return frozenset(str(call.data.get("refund_id")) for call in calls)


def credit_customer(customer: Customer, *, amount_cents: int, currency: str, reason: str, by: User) -> bool:
    """The same again within ``SAME_CREDIT`` is a repeated click: it gives nothing more, and returns ``False``. Raises
    ``Invalid``, and what the provider refuses."""
    why = require_reason(reason)
    facts: dict[str, Any] = {"amount_cents": amount_cents, "currency": currency.lower()}
    if not 0 < amount_cents <= LARGEST_CREDIT_CENTS:
        raise Invalid(errors={"amount_cents": ["Choose an amount above nothing."]})
    given = AuditEvent.objects.filter(action="customer.credited", target=customer.pk, reason=why)
    same = [event for event in given if event.data == facts]
    if any(event.at >= timezone.now() - SAME_CREDIT for event in same):
        return False
    providers.current_gateway().credit_customer(
        customer.external_id, reason=why, idempotency_key=_credit_key(customer, why, facts, len(same)), **facts
    )
    apply_pending_events(customer)
    record("customer.credited", actor=by.pk, target=customer.pk, reason=why, **facts)
    return True


def _credit_key(customer: Customer, reason: str, facts: dict[str, Any], given_before: int) -> str:
    """One for clicks at the same time, and for one whose answer was lost: until the credit is known to be given."""
    digest = sha256(f"{facts} {reason}".encode()).hexdigest()[:32]
    return f"credit:{customer.pk}:{digest}:{given_before}"


def cancel_with_refund(subscription: Subscription, *, reason: str, by: User) -> Subscription:
    """End it now, and refund what of the last paid invoice is for the time after now. Raises ``NothingToRefund`` if that is
    nothing, ``PaymentDisputed``: then it has not ended, either. If only the refund is refused, a repeated call makes it."""
    why = require_reason(reason)
    invoice = last_paid_invoice(subscription)
    rest = unused_cents(subscription, invoice, clock.now()) if invoice else 0
    if invoice is None or rest <= 0:
        raise NothingToRefund
    _require_undisputed(invoice)
    if subscription.status not in Subscription.TERMINAL:
        with refresh_after_refusal(subscription):
            providers.current_gateway().cancel_subscription(subscription.external_id, reason=why)
        facts: dict[str, Any] = {"at_period_end": False, "refund_cents": rest, "returned_cents": invoice.returned_cents}
        record("subscription.canceled", actor=by.pk, target=subscription.pk, reason=why, **facts)
        apply_pending_events(subscription.customer)
    refund_invoice(invoice, amount_cents=rest, reason=why, by=by)
    subscription.refresh_from_db()
    return subscription


def last_paid_invoice(subscription: Subscription) -> Invoice | None:
    """The last that took money, which may be that of an earlier period."""
    paid = _paid_invoices(subscription).filter(amount_paid_cents__gt=0)
    return paid.order_by("-issued_at").select_related("customer").first()


def _paid_invoices(subscription: Subscription) -> QuerySet[Invoice]:
    return Invoice.objects.filter(subscription_id=subscription.external_id, status=Invoice.Status.PAID)


def unused_cents(subscription: Subscription, invoice: Invoice, now: datetime) -> int:
    """The part of the invoice for the rest of the period that is not returned yet, rounded down to a payable amount.

    Nothing if the period's own invoice is unpaid (also a draft, or one only sent) or was paid from credit. What was credited for
    a smaller plan within the period stays a credit.
    """
    end = subscription.current_period_end
    if subscription.status in Subscription.TERMINAL:
        return min(_refund_of_end(subscription, invoice), invoice.net_paid.minor)
    if not subscription.may_run_out or end is None or end <= max(now, invoice.issued_at):
        return 0
    if invoice.issued_at < _period_start(subscription) - CLOCKS_DIFFER:
        return 0
    credited = _paid_invoices(subscription).filter(
        total_cents__lt=0, issued_at__gt=invoice.issued_at, issued_at__lt=end
    )
    amounts = [(invoice.amount_paid_cents, invoice.issued_at), *credited.values_list("total_cents", "issued_at")]
    cents = max(int(sum(amount * _part(end - max(now, at), end - at) for amount, at in amounts)), 0)
    return min(cents - cents % smallest_payment(invoice.currency), invoice.net_paid.minor)


def _part(rest: timedelta, whole: timedelta) -> Fraction:
    return Fraction(rest // timedelta.resolution, whole // timedelta.resolution)


def _period_start(subscription: Subscription) -> datetime:
    """When the present period began, as the stored events show it; else when the subscription did."""
    events = event_history.stored_events(subscription.external_id, "customer.subscription.")
    shown = [start for event in events if (start := stripe_objects.period_start(event.object))]
    return max(shown, default=subscription.started_at)


def _refund_of_end(subscription: Subscription, invoice: Invoice) -> int:
    """What was to be refunded when staff ended it, and has not been since."""
    ends = AuditEvent.objects.filter(action="subscription.canceled", target=subscription.pk)
    if not (end := ends.order_by("-pk").first()):
        return 0
    returned_since = invoice.returned_cents - int(end.data.get("returned_cents", 0))
    return max(int(end.data.get("refund_cents", 0)) - returned_since, 0)
