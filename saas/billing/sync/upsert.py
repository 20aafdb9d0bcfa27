"""Upsert the rows of the provider's objects. Each function projects all stored events of one object into its row: it may
be repeated, runs inside its caller's transaction, and inserts missing customers as stubs without an owner."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db import models, transaction

from saas.billing.models import Checkout, Customer, Invoice, LedgerEntry, PaymentMethod, Price, Product, Subscription
from saas.billing.sync import event_history, ledger
from saas.billing.sync.plan_items import find_plan_item, set_price_product
from saas.billing.sync.projections import subscriptions
from saas.billing.sync.projections.catalogue import project_price, project_product
from saas.billing.sync.projections.checkout_sessions import project_checkout_session
from saas.billing.sync.projections.customers import project_customer
from saas.billing.sync.projections.invoices import project_invoice
from saas.billing.sync.projections.payment_methods import project_payment_method
from saas.database.prepared_queries import PreparedQuery, QueryParameter, binary_cursor

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=models.Model)


def _by_external_id(rows: Callable[[], "models.QuerySet[M]"]) -> PreparedQuery[M]:
    return PreparedQuery(lambda: rows().filter(external_id=QueryParameter("external_id")), cursor=binary_cursor)


_LOCKED: dict[type[models.Model], PreparedQuery[Any]] = {
    model: _by_external_id(partial(model._default_manager.select_for_update, no_key=True))
    for model in (Customer, Subscription, Invoice, PaymentMethod, Price, Product)
}
_CUSTOMERS = _by_external_id(Customer.objects.all)


def upsert_customer(external_id: str) -> None:
    """Link a customer that we created by our id, which it carries; any other is a stub."""
    projection = project_customer(event_history.stored_events(external_id, "customer."))
    if projection is None:
        return
    values = dict(vars(projection))
    if reference := values.pop("reference"):
        link_customer(reference, external_id)
    upsert_row(Customer, external_id, values, first=lambda: {"provider": _provider_of(external_id)})


def ensure_customer(external_id: str) -> Customer | None:
    """The row of a provider's customer, inserted as a stub if there is none; ``None`` if ``external_id`` is empty."""
    if not external_id:
        return None
    if row := _CUSTOMERS.fetch_first(external_id=external_id):
        return row
    return _insert(_CUSTOMERS, Customer(external_id=external_id, provider=_provider_of(external_id)))


def _customer_pk(external_id: str) -> str | None:
    customer = ensure_customer(external_id)
    return customer.pk if customer else None


def _provider_of(external_id: str) -> str:
    return Customer.Provider.LOCAL if event_history.is_local_object(external_id) else Customer.Provider.STRIPE


@transaction.atomic
def link_customer(customer_id: str, external_id: str) -> None:
    """Give our customer the provider's id. If events that came first have made a stub, its rows become our customer's."""
    stub = Customer.objects.filter(external_id=external_id).exclude(pk=customer_id).first()
    if (
        stub
        and stub.user_id is stub.team_id is None
        and Customer.objects.filter(pk=customer_id, external_id="").exists()
    ):
        for model in (Subscription, Invoice, PaymentMethod, LedgerEntry):
            model.objects.filter(customer=stub).update(customer_id=customer_id)
        ledger.rebuild_customer_ledger(customer_id)
        stub.delete()
        stub = None
    if stub is None:
        Customer.objects.filter(pk=customer_id, external_id="").update(external_id=external_id)


def upsert_subscription(external_id: str) -> None:
    """Write the subscription and its ledger."""
    row = _LOCKED[Subscription].fetch_first(external_id=external_id)
    projection = subscriptions.project_subscription(event_history.stored_events(external_id, "customer.subscription."))
    if projection is None:
        return
    customer_id = _customer_pk(projection.state.customer_id)
    if customer_id is None:
        logger.warning("subscription_without_customer", extra={"subscription": external_id})
        return
    values = {"customer_id": customer_id, **subscription_values(projection)}
    row = _update(row, values) if row else upsert_row(Subscription, external_id, values)
    ledger.write_ledger(row, projection.changes)


def subscription_values(projection: subscriptions.SubscriptionProjection) -> dict[str, Any]:
    """The columns of a subscription, except its customer."""
    state = projection.state
    return {
        "status": state.status,
        **_plan_values(projection),
        "currency": state.currency,
        "monthly_cents": state.monthly_cents,
        "current_period_end": state.current_period_end,
        "cancel_at_period_end": state.cancel_at_period_end,
        "cancel_at": state.cancel_at,
        "trial_end": state.trial_end,
        "past_due_since": projection.past_due_since,
        "canceled_at": state.canceled_at,
        "ended_at": state.ended_at,
        "ambiguous": projection.ambiguous,
        "started_at": state.started_at or projection.changed_at,
        "changed_at": projection.changed_at,
    }


def _plan_values(projection: subscriptions.SubscriptionProjection) -> dict[str, Any]:
    """The columns of the plan's item. Where none is known, the plan before stays, and ``plan_is_known`` is false."""
    if found := find_plan_item(projection.state.items):
        set_price_product(found)
        return {"plan_id": found.plan_id, "plan_is_known": True, **_item_values(found.item)}
    known = (before.plan_id for items in projection.items_before if (before := find_plan_item(items)))
    items = projection.state.items
    values = _item_values(items[0]) if items else {"price_id": "", "item_id": "", "quantity": 1}
    if len(items) > 1:
        values["item_id"] = ""
    return {"plan_id": next(known, None), "plan_is_known": False, **values}


def _item_values(item: subscriptions.SubscriptionItem) -> dict[str, Any]:
    return {"price_id": item.price_id, "item_id": item.id, "quantity": item.quantity}


def upsert_invoice(external_id: str) -> None:
    projection = project_invoice(event_history.stored_events(external_id, "invoice."))
    if projection:
        upsert_row(Invoice, external_id, _owned_values(projection, optional="issued_at"))


def upsert_payment_method(external_id: str) -> None:
    projection = project_payment_method(event_history.stored_events(external_id, "payment_method."))
    if projection:
        upsert_row(PaymentMethod, external_id, _owned_values(projection, optional="created_at"))


def _owned_values(projection: Any, *, optional: str) -> dict[str, Any]:
    """The columns, with our customer's key for the provider's; without ``optional`` where the events do not say it."""
    values = {**vars(projection), "customer_id": _customer_pk(projection.customer_id)}
    if values[optional] is None:
        del values[optional]
    return values


def upsert_price(external_id: str) -> None:
    """Write all but the plan, which ``plan_mapping`` and the catalogue decide."""
    projection = project_price(event_history.stored_events(external_id, "price."))
    if projection:
        upsert_row(Price, external_id, vars(projection), first=lambda: {"provider": Customer.Provider.STRIPE})


def upsert_product(external_id: str) -> None:
    projection = project_product(event_history.stored_events(external_id, "product."))
    if projection:
        upsert_row(Product, external_id, vars(projection), first=lambda: {"provider": Customer.Provider.STRIPE})


def upsert_checkout(session_id: str) -> bool:
    """Update our checkout of the provider's session. ``False`` if the session is ours and the checkout is not stored yet:
    the event came before our commit, and must be retried."""
    projection = project_checkout_session(event_history.stored_events(session_id, "checkout.session."))
    if projection is None:
        return True
    ensure_customer(projection.customer_id)
    if not projection.reference.startswith("chk_"):
        return True
    ours = Checkout.objects.filter(pk=projection.reference)
    if projection.status != Checkout.Status.PENDING:
        ours.exclude(status=Checkout.Status.ACTIVE).update(
            status=projection.status,
            ended_at=projection.ended_at,
            external_id=session_id,
            subscription_id=projection.subscription_id,
        )
    return ours.exists()


def upsert_row(
    model: type[M], external_id: str, values: dict[str, Any], first: Callable[[], dict[str, Any]] = dict
) -> M:
    """Write ``values``, by attribute names, to the object's row; a new row gets ``first``, too.

    In the usual case one statement finds the row and locks it until the transaction ends, and one writes what changed.
    """
    query: PreparedQuery[M] = _LOCKED[model]
    row = query.fetch_first(external_id=external_id)
    return _update(row or _insert(query, model(external_id=external_id, **values, **first())), values)


def _update(row: M, values: dict[str, Any]) -> M:
    """Write the values that differ, if any. The caller has locked the row."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        row.save(update_fields=changed)
    return row


def _insert(query: PreparedQuery[M], new: M) -> M:
    """Insert the row, or find the one that another transaction has inserted first: without an error or a savepoint."""
    type(new)._default_manager.bulk_create([new], ignore_conflicts=True)
    [row] = query.fetch_all(external_id=new.external_id)  # type: ignore[attr-defined]  # each of these models has it
    return row
