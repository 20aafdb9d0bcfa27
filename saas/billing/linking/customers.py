"""Linking a provider's customer whom only the provider knows to the user or team that pays by it.

For Admin ops, with ``by`` the member of staff:

    link_customer_by_staff(customer, owner=kim, reason="…", by=sam)  -> Customer
"""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from saas.accounts.models import User
from saas.audit.actions import SYSTEM, record, require_reason
from saas.billing.invoices import customer_mails, details_elsewhere
from saas.billing.models import Customer, Owner, Subscription
from saas.billing.sync import ledger, upsert
from saas.errors import DomainError

JUST_PAID = timedelta(days=3)


class CustomerIsLinked(DomainError):
    code, title = "customer_is_linked", "This customer belongs to an account already."  # 409


class OwnerPaysAlready(DomainError):
    code, title = "owner_pays_already", "This account has a live subscription of its own at the provider."  # 409


@transaction.atomic
def link_customer_by_staff(customer: Customer, *, owner: Owner, reason: str, by: User) -> Customer:
    """Raises ``CustomerIsLinked``, ``OwnerPaysAlready``, ``Invalid``."""
    linked = link_customer(customer, owner=owner, evidence="staff", by=by.pk, reason=require_reason(reason))
    send_late_receipts(linked)
    return linked


@transaction.atomic
def link_customer(customer: Customer, *, owner: Owner, evidence: str, by: str = SYSTEM, reason: str = "") -> Customer:
    """Give the customer, with all that they pay for, to ``owner``. Returns the owner's customer: one that the provider does
    not know yet takes the other's place, one without a live subscription is replaced.

    ``evidence`` says what it is known by. Raises ``CustomerIsLinked``, ``OwnerPaysAlready``.
    """
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    if customer.is_linked:
        raise CustomerIsLinked
    external_id = customer.external_id
    own = Customer.objects.for_owner(owner).current().select_for_update(no_key=True)
    current = own.filter(provider=customer.provider).first()
    if current and Subscription.objects.filter(customer=current).live().exists():
        raise OwnerPaysAlready
    if current and not current.external_id:
        upsert.set_external_id(current.pk, external_id)
        linked = Customer.objects.get(pk=current.pk)
    else:
        if current:
            Customer.objects.filter(pk=current.pk).update(replaced_at=timezone.now())
        linked = _give(customer, owner)
    upsert.upsert_customer(external_id)
    details_elsewhere.take_over_customer(linked)
    details_elsewhere.take_over_tax_ids(linked)
    record("customer.linked", actor=by, target=owner.pk, reason=reason, external_id=external_id, evidence=evidence)
    return linked


def send_late_receipts(linked: Customer) -> None:
    """Send the receipts of what was paid in the last days, when the payer's account was not known yet."""
    for invoice in linked.invoices.filter(paid_at__gte=timezone.now() - JUST_PAID).order_by("pk"):
        customer_mails.send_receipt(invoice.external_id)


def _give(customer: Customer, owner: Owner) -> Customer:
    if isinstance(owner, User):
        customer.user = owner
    else:
        customer.team_id = owner.pk
    customer.save(update_fields=["user", "team"])
    ledger.rebuild_customer_ledger(customer.pk)
    return customer
