"""Whose a customer is who paid by a Payment Link, a pricing table or by hand at the provider.

By ``client_reference_id`` of their checkout session, which holds our id of a user, a team or a customer; else by their e-mail
address, where exactly one active user has confirmed it and no other customer without an account pays under it. A customer
for whom no account is found waits for staff: ``saas.billing.alarms``.
"""

import logging
from typing import cast

from django.apps import apps
from django.db.models import QuerySet

from saas.accounts.models import User
from saas.background_tasks import SLICE_SECONDS, for_a_while
from saas.billing.linking.customers import link_customer, send_late_receipts
from saas.billing.models import Customer, Owner
from saas.billing.sync import event_history
from saas.errors import DomainError
from saas.security.untrusted_json import as_text
from saas.webhook_events.models import WebhookEvent

logger = logging.getLogger(__name__)


def link_by_evidence(external_id: str) -> bool:
    """Link the provider's customer if they pay, have no account, and something says whose they are. In the caller's
    transaction; changes nothing otherwise."""
    customer = Customer.objects.paying_for_nothing().filter(external_id=external_id).first() if external_id else None
    found = find_owner(customer) if customer else None
    if customer is None or found is None:
        return False
    owner, evidence = found
    try:
        linked = link_customer(customer, owner=owner, evidence=evidence)
    except DomainError as refusal:  # staff decide: they pay twice
        logger.warning("customer_not_linked", extra={"customer": customer.pk, "reason": refusal.code})
        return False
    send_late_receipts(linked)
    return True


def link_waiting_customers(seconds: float = SLICE_SECONDS) -> int:
    """Try again those who wait, as many as there is time for: an account may have been made, or its address confirmed, since.
    In random order."""
    waiting = Customer.objects.paying_for_nothing().order_by("?").values_list("external_id", flat=True)
    return sum(link_by_evidence(external_id) for external_id in for_a_while(waiting, seconds))


def find_owner(customer: Customer) -> tuple[Owner, str] | None:
    """The owner, and what says so; ``None`` where nothing does."""
    for reference in _references(customer.external_id):
        if owner := owner_by_id(reference):
            return owner, "client_reference_id"
    user = user_by_verified_email(customer.email)
    is_unique = user and not _others_paying_under(customer.email, customer).exists()
    return (user, "verified e-mail") if user and is_unique else None


def _references(external_id: str) -> list[str]:
    """The ``client_reference_id`` of the customer's completed checkout sessions, the newest first."""
    events = event_history.stored_events_of_customer(external_id, "checkout.session.")
    shown = [
        as_text(event.object.get("client_reference_id")) for event in events if event.object.get("status") == "complete"
    ]
    return [reference for reference in reversed(shown) if reference]


def owner_by_id(id: str) -> Owner | None:
    """A user, a team, or the owner of a customer, by our id."""
    user: User | None = User.objects.filter(pk=id, status=User.Status.ACTIVE, is_staff=False).first()
    if user:
        return user
    if team := apps.get_model("teams", "Team").objects.live().filter(pk=id).first():
        return cast(Owner, team)
    customer = Customer.objects.select_related("user", "team").filter(pk=id).first()
    return customer.owner if customer else None


def user_by_verified_email(email: str) -> User | None:
    user = User.objects.by_email(email) if email else None
    is_theirs = user and user.is_verified and user.status == User.Status.ACTIVE and not user.is_staff
    return user if is_theirs else None


def _others_paying_under(email: str, customer: Customer) -> QuerySet[Customer]:
    return Customer.objects.paying_for_nothing().filter(email__iexact=email).exclude(pk=customer.pk)


def newest_event_id(customer_external_id: str, type_prefix: str) -> str:
    """The provider's newest event of such a type that names the customer."""
    rows = WebhookEvent.objects.filter(customer_id=customer_external_id, type__startswith=type_prefix)
    return rows.order_by("-id").values_list("external_id", flat=True).first() or ""
