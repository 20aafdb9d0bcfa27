"""Moving in: customers and subscriptions that exist at the provider are matched to accounts, and linked.

By a table of ids (the provider's customer, our account), else by an e-mail address that exactly one account has confirmed.
First everything is asked of the provider, then each customer is stored and linked in a transaction of their own, which a dry
run takes back: what it says is what would happen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from saas.billing import clock, providers
from saas.billing.entitlements import get_entitlements
from saas.billing.linking.customers import link_customer
from saas.billing.linking.evidence import find_owner, owner_by_id, user_by_verified_email
from saas.billing.models import Customer, Owner
from saas.billing.providers import Gateway, fetched_objects
from saas.billing.sync import upsert
from saas.errors import DomainError

_UPSERTS = {"subscription": upsert.upsert_subscription, "invoice": upsert.upsert_invoice}


@dataclass(frozen=True)
class Match:
    """A customer of the provider. ``owner`` is ``None`` where no one was found, or the link was refused: ``reason`` says it.
    ``gains`` and ``loses`` name limits and features that the account has more or less of."""

    external_id: str
    email: str
    owner: Owner | None
    reason: str
    gains: tuple[str, ...] = ()
    loses: tuple[str, ...] = ()


def match_customers(accounts: Mapping[str, str], *, dry_run: bool) -> Iterator[Match]:
    """``accounts`` maps the provider's customer ids to ids or confirmed addresses of our accounts. Yields a match for each
    customer of the provider who has no account here. May be repeated."""
    gateway = providers.current_gateway()
    linked = set(Customer.objects.exclude(user=None, team=None).values_list("external_id", flat=True))
    waiting = [found for found in gateway.list_customers() if found["id"] not in linked and not found.get("deleted")]
    for found in waiting:
        objects = [(kind, it) for kind in _UPSERTS for it in gateway.list_objects(found["id"], kind)]
        yield _match(found, objects, accounts.get(found["id"], ""), gateway, dry_run=dry_run)


@transaction.atomic
def _match(
    found: dict[str, Any], objects: list[tuple[str, dict[str, Any]]], account: str, gateway: Gateway, *, dry_run: bool
) -> Match:
    asked_at = clock.now()
    fetched_objects.store_fetched_object(found, asked_at=asked_at)
    upsert.upsert_customer(found["id"])
    for kind, thing in objects:
        fetched_objects.store_fetched_object(thing, asked_at=asked_at)
        _UPSERTS[kind](thing["id"])
    customer = Customer.objects.filter(external_id=found["id"], provider=gateway.provider).first()
    match = (
        _link(customer, account)
        if customer
        else Match(found["id"], "", None, "The provider's answer shows no customer.")
    )
    if dry_run:
        transaction.set_rollback(True)
    return match


def _link(customer: Customer, account: str) -> Match:
    owner, evidence = _owner(customer, account)
    if customer.is_linked or owner is None:
        return Match(customer.external_id, customer.email, owner, evidence)
    before = _access(owner)
    try:
        with transaction.atomic():
            link_customer(customer, owner=owner, evidence=evidence)
    except DomainError as refusal:
        return Match(customer.external_id, customer.email, None, refusal.detail)
    after = _access(owner)
    names = sorted(before.keys() | after.keys())
    gains = tuple(name for name in names if after.get(name, 0) > before.get(name, 0))
    loses = tuple(name for name in names if after.get(name, 0) < before.get(name, 0))
    return Match(customer.external_id, customer.email, owner, evidence, gains, loses)


def _owner(customer: Customer, account: str) -> tuple[Owner | None, str]:
    if account:
        return owner_by_id(account) or user_by_verified_email(account), "file"
    return find_owner(customer) or (None, "No account has confirmed this address, or several customers pay under it.")


def _access(owner: Owner) -> dict[str, float]:
    """Limits by name, and 1 for each feature."""
    entitlements = get_entitlements(owner)
    limits = {name: float("inf") if value is None else float(value) for name, value in entitlements.limits.items()}
    return {**limits, **dict.fromkeys(entitlements.features, 1.0)}
