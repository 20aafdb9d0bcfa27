"""Upsert the rows of the provider's objects. Each function projects all stored events of one object into its row: it may
be repeated, runs inside its caller's transaction, and inserts missing customers as stubs without an owner."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import Sum
from django.db.models.functions import Coalesce

from saas.billing.models import (
    Checkout,
    Customer,
    Invoice,
    InvoiceAdjustment,
    LedgerEntry,
    PaymentMethod,
    Price,
    Product,
    Subscription,
    TaxId,
)
from saas.billing.sync import event_history, ledger
from saas.billing.sync.attention import attention_of, mark_events
from saas.billing.sync.event_order import StoredEvent, last_event
from saas.billing.sync.plan_items import find_plan_item, set_price_product
from saas.billing.sync.projections import subscriptions
from saas.billing.sync.projections.catalogue import project_price, project_product
from saas.billing.sync.projections.checkout_sessions import project_checkout_session
from saas.billing.sync.projections.customer_discounts import customer_discounts, project_customer_discounts
from saas.billing.sync.projections.customers import customer_snapshots, project_customer
from saas.billing.sync.projections.invoices import project_invoice
from saas.billing.sync.projections.payment_methods import project_payment_method
from saas.billing.sync.projections.tax_ids import project_tax_id
from saas.billing.sync.stripe_objects import id_of
from saas.database.prepared_queries import PreparedQuery, QueryParameter, binary_cursor

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=models.Model)


def _by_external_id(rows: Callable[[], "models.QuerySet[M]"]) -> PreparedQuery[M]:
    return PreparedQuery(lambda: rows().filter(external_id=QueryParameter("external_id")), cursor=binary_cursor)


_LOCKED: dict[type[models.Model], PreparedQuery[Any]] = {
    model: _by_external_id(partial(model._default_manager.select_for_update, no_key=True))
    for model in (Customer, Subscription, Invoice, PaymentMethod, Price, Product, TaxId)
}
_CUSTOMERS = _by_external_id(Customer.objects.all)


def upsert_customer(external_id: str) -> Customer | None:
    """Link a customer that we created by our id, which it carries; any other is a stub."""
    events = event_history.stored_events(external_id, "customer.")
    projection = project_customer(events)
    if projection is None:
        return None
    values = {**vars(projection), "discounts": _discounts(external_id, events)}
    row: Customer | None = _LOCKED[Customer].fetch_first(external_id=external_id)
    reference = values.pop("reference")
    if reference and not (row and row.pk == reference):
        set_external_id(reference, external_id)
        row = _LOCKED[Customer].fetch_first(external_id=external_id)
    return _write_customer(row, external_id, values)


def upsert_discounts(customer_external_id: str) -> None:
    """Write a customer's discounts, and what they change of their subscriptions. The customer may be a stub."""
    if ensure_customer(customer_external_id):
        values = {"discounts": _discounts(customer_external_id)}
        row = _LOCKED[Customer].fetch_first(external_id=customer_external_id)
        _write_customer(row, customer_external_id, values)


def _write_customer(row: Customer | None, external_id: str, values: dict[str, Any]) -> Customer:
    """``row`` is locked, ``None`` where there is none yet."""
    before = (row.discounts, row.deleted_at) if row else (None, None)
    row = _write_row(Customer, row, external_id, values, first=lambda: {"provider": _provider_of(external_id)})
    if before != (row.discounts, row.deleted_at):
        for subscription_id in row.subscriptions.order_by("pk").values_list("external_id", flat=True):
            upsert_subscription(subscription_id)
    return row


def _discounts(
    customer_external_id: str, customer_events: Sequence[StoredEvent] | None = None
) -> list[dict[str, Any]] | None:
    if customer_events is None:
        customer_events = event_history.stored_events(customer_external_id, "customer.")
    rows = project_customer_discounts(
        event_history.stored_events_of_customer(customer_external_id, "customer.discount."),
        customer_snapshots(customer_events),
        find_coupon,
    )
    return rows or None


def find_coupon(coupon_id: str) -> dict[str, Any]:
    """The coupon as its own events show it, with its amounts in other currencies where any does; empty without events."""
    events = event_history.stored_events(coupon_id, "coupon.") if coupon_id else []
    if not events:
        return {}
    latest_first = sorted(events, key=lambda event: event.created, reverse=True)
    options = next(filter(None, (event.object.get("currency_options") for event in latest_first)), None)
    return {**last_event(events, end_verb="deleted")[0].object, "currency_options": options}


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
def set_external_id(customer_id: str, external_id: str) -> None:
    """Give our customer the provider's id. If events that came first have made a stub, its rows become our customer's."""
    stub = Customer.objects.filter(external_id=external_id).exclude(pk=customer_id).first()
    if (
        stub
        and stub.user_id is stub.team_id is None
        and Customer.objects.filter(pk=customer_id, external_id="").exists()
    ):
        for model in (Subscription, Invoice, PaymentMethod, TaxId, LedgerEntry):
            model.objects.filter(customer=stub).update(customer_id=customer_id)
        ledger.rebuild_customer_ledger(customer_id)
        stub.delete()
        stub = None
    if stub is None:
        Customer.objects.filter(pk=customer_id, external_id="").update(external_id=external_id)


def upsert_subscription(external_id: str) -> Subscription | None:
    """Write the subscription and its ledger. Returns it, with its customer."""
    locked = _LOCKED[Subscription].fetch_first(external_id=external_id)
    found = _projected(event_history.stored_events(external_id, "customer.subscription."))
    if found is None:
        return None
    projection, customer = found
    if customer is None:
        logger.warning("subscription_without_customer", extra={"subscription": external_id})
        return None
    before = attention_of(locked)
    values = {"customer_id": customer.pk, **subscription_values(projection)}
    row: Subscription = _write_row(Subscription, locked, external_id, values)
    row.customer = customer  # loaded already
    ledger.write_ledger(row, projection.changes)
    mark_events(before, row)
    return row


def _projected(
    events: Sequence[StoredEvent],
) -> tuple[subscriptions.SubscriptionProjection, Customer | None] | None:
    """The projection under the discounts of the customer whom it belongs to, and the customer."""
    customer_id = next((id for event in events if (id := id_of(event.object.get("customer")))), "")
    customer = _CUSTOMERS.fetch_first(external_id=customer_id) if customer_id else None
    events = [*events, *_end_with(customer, events)]
    projection = subscriptions.project_subscription(
        events, customer_discounts(customer.discounts if customer else None)
    )
    if projection is None:
        return None
    if customer is None or customer.external_id != projection.state.customer_id:
        customer = ensure_customer(projection.state.customer_id)
        if customer and customer.discounts:
            projection = (
                subscriptions.project_subscription(events, customer_discounts(customer.discounts)) or projection
            )
    return projection, customer


def _end_with(customer: Customer | None, events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """A deleted customer's subscriptions are over, also where no event of their own says so."""
    if customer is None or customer.deleted_at is None or any(_says_the_end(event) for event in events):
        return []
    told = event_history.stored_events(customer.external_id, "customer.deleted")
    ends = sorted(told, key=lambda event: (event.created, event.id))[:1]
    return [replace(end, type="customer.subscription.deleted", object={}, previous={}) for end in ends]


def _says_the_end(event: StoredEvent) -> bool:
    return event.has_verb("deleted") or event.object.get("status") in Subscription.TERMINAL


def subscription_values(projection: subscriptions.SubscriptionProjection) -> dict[str, Any]:
    """The columns of a subscription, except its customer."""
    state, plan = projection.state, _plan_values(projection)
    return {
        "status": state.status,
        **plan,
        **_attention_values(projection, is_known=plan["plan_is_known"]),
        "currency": state.currency,
        "monthly_cents": state.monthly_cents,
        "hides_amounts": state.hides_amounts and state.status not in Subscription.TERMINAL,
        "current_period_end": state.current_period_end,
        "cancel_at_period_end": state.cancel_at_period_end,
        "cancel_at": state.cancel_at,
        "trial_end": state.trial_end,
        "default_payment_method": state.default_payment_method,
        "keeps_revenue": state.keeps_revenue,
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


def _attention_values(projection: subscriptions.SubscriptionProjection, *, is_known: bool) -> dict[str, str]:
    state = projection.state
    unknown = [] if is_known else [f"price {' or '.join(state.price_ids) or 'nothing'} stands for no plan"]
    faults = [] if state.status in Subscription.TERMINAL else [*state.faults, *unknown]
    event_id = projection.faults_event_id if state.faults else projection.items_event_id
    return {"attention": "; ".join(faults)[:500], "attention_event_id": event_id if faults else ""}


def _item_values(item: subscriptions.SubscriptionItem) -> dict[str, Any]:
    return {"price_id": item.price_id, "item_id": item.id, "quantity": item.quantity}


def upsert_invoice(external_id: str) -> list[InvoiceAdjustment]:
    """Returns what came before the invoice and has its customer only now."""
    projection = project_invoice(event_history.stored_events(external_id, "invoice."))
    if projection is None:
        return []
    locked = _LOCKED[Invoice].fetch_first(external_id=external_id)
    before, paid_before = attention_of(locked), locked.amount_paid_cents if locked else None
    is_stub = locked is not None and locked.customer_id is None
    row: Invoice = _write_row(Invoice, locked, external_id, _owned_values(projection, optional="issued_at"))
    if paid_before not in {None, row.amount_paid_cents}:  # a refund's event may have come before the payment's
        write_returned(row)
    mark_events(before, row)
    return _give_customer(row) if is_stub and row.customer_id else []


def _give_customer(invoice: Invoice) -> list[InvoiceAdjustment]:
    rows = list(invoice.adjustments.filter(customer=None).select_for_update(no_key=True).order_by("pk"))
    for row in rows:
        row.customer = invoice.customer
        row.save(update_fields=["customer"])
    return rows


def ensure_invoice(external_id: str) -> None:
    """Insert a stub, which no page or answer shows, if there is no such invoice yet."""
    if external_id and not Invoice.objects.filter(external_id=external_id).exists():
        stub = Invoice(external_id=external_id, status=Invoice.Status.DRAFT, amounts_are_known=False)
        Invoice.objects.bulk_create([stub], ignore_conflicts=True)


def write_returned(invoice: Invoice) -> None:
    """The sum of what has left us again, never more than was paid. Locks the invoice: refunds may come at the same time."""
    mine = Invoice.objects.filter(pk=invoice.pk)
    paid = mine.select_for_update(no_key=True).values_list("amount_paid_cents", flat=True).get()
    total = invoice.adjustments.aggregate(cents=Coalesce(Sum("returned_cents"), 0))["cents"]
    mine.update(returned_cents=min(int(total), max(paid, 0)))


def upsert_payment_method(external_id: str) -> None:
    projection = project_payment_method(event_history.stored_events(external_id, "payment_method."))
    if projection:
        upsert_row(PaymentMethod, external_id, _owned_values(projection, optional="created_at"))


def upsert_tax_id(external_id: str) -> TaxId | None:
    projection = project_tax_id(event_history.stored_events(external_id, "customer.tax_id."))
    if projection is None:
        return None
    return upsert_row(TaxId, external_id, _owned_values(projection, optional="created_at"))


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
        written = ours.exclude(status=Checkout.Status.ACTIVE).update(
            status=projection.status,
            ended_at=projection.ended_at,
            external_id=session_id,
            subscription_id=projection.subscription_id,
        )
        return bool(written) or ours.exists()
    return ours.exists()


def upsert_row(
    model: type[M], external_id: str, values: dict[str, Any], first: Callable[[], dict[str, Any]] = dict
) -> M:
    """Write ``values``, by attribute names, to the object's row; a new row gets ``first``, too.

    In the usual case one statement finds the row and locks it until the transaction ends, and one writes what changed.
    """
    query: PreparedQuery[M] = _LOCKED[model]
    return _write_row(model, query.fetch_first(external_id=external_id), external_id, values, first)


def _write_row(
    model: type[M],
    row: M | None,
    external_id: str,
    values: dict[str, Any],
    first: Callable[[], dict[str, Any]] = dict,
) -> M:
    """Write ``values`` to ``row``, which is locked, or to the one that is inserted where it is ``None``."""
    new = None if row else model(external_id=external_id, **values, **first())
    return _update(row or _insert(_LOCKED[model], new), values)


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
