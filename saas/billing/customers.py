"""Customers at the provider: creating them there, and applying the events that wait for them."""

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from saas.accounts.models import User
from saas.audit.actions import record
from saas.billing.models import BillingDetails, Checkout, Customer, Owner
from saas.billing.models.customers import owner_fields
from saas.billing.providers import CustomerMissing, Gateway, IdempotencyMismatch, ProviderFailed, TaxIdRefused
from saas.billing.sync.upsert import set_external_id
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker

T = TypeVar("T")

PENDING_EVENT_ROUNDS = 20
PENDING_EVENT_PAUSE_SECONDS = 0.05  # another request has the customer's lock: it is brief


def get_or_create_customer(owner: Owner, gateway: Gateway) -> Customer:
    """The owner's row for this provider. A new one is not yet known to the provider; one that was deleted there is
    replaced."""
    row, _ = Customer.objects.current().get_or_create(provider=gateway.provider, **owner_fields(owner))
    return replace_customer(row) if row.deleted_at else row


def with_provider_customer(
    customer: Customer, payer: User, gateway: Gateway, call: Callable[[Customer], T]
) -> tuple[Customer, T]:
    """Call the provider for a customer whom it has: one that it has no longer is replaced, once. Returns that customer, and
    what ``call`` returns."""
    known = ensure_provider_customer(customer, payer, gateway)
    try:
        return known, call(known)
    except CustomerMissing:
        known = ensure_provider_customer(replace_customer(known), payer, gateway)
        return known, call(known)


@transaction.atomic
def replace_customer(customer: Customer) -> Customer:
    """A new row of the same owner, not yet known to the provider. The old one keeps its invoices and subscriptions. Of
    simultaneous calls all return the same row."""
    owner = {"provider": customer.provider, "user_id": customer.user_id, "team_id": customer.team_id}
    if Customer.objects.filter(pk=customer.pk, replaced_at=None).update(replaced_at=timezone.now()):
        new = Customer.objects.create(**owner)
        record("customer.replaced", target=new.pk, before=customer.pk, external_id=customer.external_id)
        customer.checkouts.filter(status=Checkout.Status.PENDING, external_id="").update(
            customer=new, opening_attempt=F("opening_attempt") + 1
        )
        return new
    return Customer.objects.current().get(**owner)


def ensure_provider_customer(customer: Customer, payer: User, gateway: Gateway) -> Customer:
    """Create the customer at the provider, once: the idempotency key makes repeated and simultaneous calls one.

    An answer that the provider would repeat for a day (an error of its own, other parameters) ends its key. The next key is
    used only after a look for the customer whom that call may have created nevertheless.
    """
    if customer.external_id:
        return customer
    details = BillingDetails.objects.for_customer(customer).first()
    try:
        external_id = _found_or_created(customer, payer, details, gateway)
    except (IdempotencyMismatch, TaxIdRefused) as refusal:
        if isinstance(refusal, TaxIdRefused):  # it keeps no one from buying
            note_refused_tax_id(details, refusal)
        _end_creation_key(customer)
        external_id = _found_or_created(customer, payer, details, gateway)
    except ProviderFailed:
        _end_creation_key(customer)
        raise
    set_external_id(customer.pk, external_id)
    details_at = details.changed_at if details else None
    told = {"told_email": payer.email, "told_name": payer.full_name, "told_details_at": details_at}
    Customer.objects.filter(pk=customer.pk, creation_attempt=0).update(**told)
    customer.refresh_from_db()
    return customer


def _found_or_created(customer: Customer, payer: User, details: BillingDetails | None, gateway: Gateway) -> str:
    attempt = customer.creation_attempt
    if attempt and (found := gateway.find_customer(reference=customer.pk, email=payer.email)):
        return found
    return gateway.create_customer(
        reference=customer.pk,
        email=payer.email,
        name=billed_to_name(payer.full_name, details),
        idempotency_key=numbered_key(f"customer:{customer.pk}", attempt),
        details=details,
    )


def billed_to_name(person: str, details: BillingDetails | None) -> str:
    """The company's, or the person's."""
    return (details.company_name if details else "") or person


def note_refused_tax_id(details: BillingDetails | None, refusal: TaxIdRefused) -> None:
    """Their owner is told, and the provider is not asked again until they are saved once more."""
    if details:
        details.tax_id_refusal = (refusal.detail or refusal.title)[:500]
        same = BillingDetails.objects.filter(pk=details.pk, changed_at=details.changed_at)
        same.update(tax_id_refusal=details.tax_id_refusal)


def _end_creation_key(customer: Customer) -> None:
    mine = Customer.objects.filter(pk=customer.pk, creation_attempt=customer.creation_attempt)
    mine.update(creation_attempt=F("creation_attempt") + 1)
    customer.refresh_from_db()


def numbered_key(key: str, attempt: int) -> str:
    """The idempotency key of an attempt; the first has no number."""
    return f"{key}:{attempt}" if attempt else key


def apply_pending_events(customer: Customer, *object_ids: str) -> None:
    """Process the events of the customer that are queued, so that the answer shows their effect; ``object_ids`` name objects
    that do not show their customer.

    A worker processes those that are still queued after ``PENDING_EVENT_ROUNDS``.
    """
    mine = Q(customer_id=customer.external_id) | Q(object_id__in=[customer.external_id, *object_ids])
    waiting = WebhookEvent.objects.filter(mine, status=WebhookEvent.Status.QUEUED).order_by("pk")
    for round in range(PENDING_EVENT_ROUNDS):
        ids = list(waiting.values_list("pk", flat=True))
        if not ids:
            return
        if round:
            time.sleep(PENDING_EVENT_PAUSE_SECONDS)
        event_worker.process_events(ids)
