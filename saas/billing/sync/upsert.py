"""Writing what the folds say. Each function makes one object's row what all stored events of it tell: it may be
repeated, runs inside its caller's transaction, and creates the parents that are missing as unlinked stubs."""

import logging
from typing import Any

from django.db import transaction

from saas.billing.models import Checkout, Customer, Invoice, LedgerEntry, PaymentMethod, Price, Product, Subscription
from saas.billing.sync import event_history, ledger, provider_rows
from saas.billing.sync.plan_items import find_plan_item, set_price_product
from saas.billing.sync.projections import subscriptions
from saas.billing.sync.projections.catalogue import project_price, project_product
from saas.billing.sync.projections.checkout_sessions import project_checkout_session
from saas.billing.sync.projections.customers import project_customer
from saas.billing.sync.projections.invoices import project_invoice
from saas.billing.sync.projections.payment_methods import project_payment_method

logger = logging.getLogger(__name__)


def upsert_customer(external_id: str) -> None:
    """A customer that we made carries our id, and is linked by it; any other is a stub."""
    fold = project_customer(event_history.stored_events(external_id, "customer."))
    if fold is None:
        return
    if fold.reference:
        link_customer(fold.reference, external_id)
    values = {
        "email": fold.email,
        "delinquent": fold.delinquent,
        "default_payment_method": fold.default_payment_method,
        "deleted_at": fold.deleted_at,
    }
    provider_rows.upsert_row(Customer, external_id, values, first=lambda: {"provider": _provider_of(external_id)})


def ensure_customer(external_id: str) -> Customer | None:
    """The row of a provider's customer, made without an owner if need be; ``None`` where no customer is named."""
    if not external_id:
        return None
    return provider_rows.get_or_insert_customer(
        external_id, new=lambda: Customer(external_id=external_id, provider=_provider_of(external_id))
    )


def _owner(external_id: str) -> str | None:
    owner = ensure_customer(external_id)
    return owner.pk if owner else None


def _provider_of(external_id: str) -> str:
    return Customer.Provider.LOCAL if event_history.is_local_object(external_id) else Customer.Provider.STRIPE


@transaction.atomic
def link_customer(customer_id: str, external_id: str) -> None:
    """Give our customer the provider's id. Events that came first have made a stub: what hangs on it moves over."""
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
    """The subscription and its ledger, together."""
    row = provider_rows.lock_row(Subscription, external_id)
    fold = subscriptions.project_subscription(event_history.stored_events(external_id, "customer.subscription."))
    if fold is None:
        return
    customer_id = _owner(fold.state.customer_id)
    if customer_id is None:
        logger.warning("subscription_without_customer", extra={"subscription": external_id})
        return
    values = {"customer_id": customer_id, **subscription_values(fold)}
    row = provider_rows.update_row(row, values) if row else provider_rows.upsert_row(Subscription, external_id, values)
    ledger.write_ledger(row, fold.changes)


def subscription_values(fold: subscriptions.SubscriptionProjection) -> dict[str, Any]:
    """The columns of a subscription, but for its customer."""
    state = fold.state
    return {
        "status": state.status,
        **_plan_values(fold),
        "currency": state.currency,
        "monthly_cents": state.monthly_cents,
        "current_period_end": state.current_period_end,
        "cancel_at_period_end": state.cancel_at_period_end,
        "cancel_at": state.cancel_at,
        "trial_end": state.trial_end,
        "past_due_since": fold.past_due_since,
        "canceled_at": state.canceled_at,
        "ended_at": state.ended_at,
        "ambiguous": fold.ambiguous,
        "started_at": state.started_at or fold.changed_at,
        "changed_at": fold.changed_at,
    }


def _plan_values(fold: subscriptions.SubscriptionProjection) -> dict[str, Any]:
    """Of the plan's own item. Where nobody knows it the plan stays what it was, and the row says so."""
    if found := find_plan_item(fold.state.items):
        set_price_product(found)
        return {"plan_id": found.plan_id, "plan_is_known": True, **_item_values(found.item)}
    known = (before.plan_id for items in fold.items_before if (before := find_plan_item(items)))
    values = _item_values(fold.state.items[0]) if fold.state.items else {"price_id": "", "item_id": "", "quantity": 1}
    if len(fold.state.items) > 1:
        values["item_id"] = ""
    return {"plan_id": next(known, None), "plan_is_known": False, **values}


def _item_values(item: subscriptions.SubscriptionItem) -> dict[str, Any]:
    return {"price_id": item.price_id, "item_id": item.id, "quantity": item.quantity}


def upsert_invoice(external_id: str) -> None:
    fold = project_invoice(event_history.stored_events(external_id, "invoice."))
    if fold is None:
        return
    values = {
        "customer_id": _owner(fold.customer_id),
        "subscription_id": fold.subscription_id,
        "number": fold.number,
        "status": fold.status,
        "currency": fold.currency,
        "total_cents": fold.total_cents,
        "amount_due_cents": fold.amount_due_cents,
        "amount_paid_cents": fold.amount_paid_cents,
        "hosted_url": fold.hosted_url,
        "paid_at": fold.paid_at,
    }
    if fold.issued_at:
        values["issued_at"] = fold.issued_at
    provider_rows.upsert_row(Invoice, external_id, values)


def upsert_payment_method(external_id: str) -> None:
    fold = project_payment_method(event_history.stored_events(external_id, "payment_method."))
    if fold is None:
        return
    values = {
        "customer_id": _owner(fold.customer_id),
        "type": fold.type,
        "brand": fold.brand,
        "last4": fold.last4,
        "exp_month": fold.exp_month,
        "exp_year": fold.exp_year,
        "detached_at": fold.detached_at,
    }
    if fold.created_at:
        values["created_at"] = fold.created_at
    provider_rows.upsert_row(PaymentMethod, external_id, values)


def upsert_price(external_id: str) -> None:
    """A price as the provider tells it. Which plan it stands for is ours to say, and stays."""
    fold = project_price(event_history.stored_events(external_id, "price."))
    if fold is None:
        return
    values = {
        "is_active": fold.is_active,
        "product_id": fold.product_id,
        "unit_amount_cents": fold.unit_amount_cents,
        "currency": fold.currency,
        "interval": fold.interval,
        "interval_count": fold.interval_count,
    }
    provider_rows.upsert_row(Price, external_id, values, first=lambda: {"provider": Customer.Provider.STRIPE})


def upsert_product(external_id: str) -> None:
    fold = project_product(event_history.stored_events(external_id, "product."))
    if fold is None:
        return
    values = {
        "name": fold.name,
        "description": fold.description,
        "is_active": fold.is_active,
        "named_plan_id": fold.named_plan_id,
    }
    provider_rows.upsert_row(Product, external_id, values, first=lambda: {"provider": Customer.Provider.STRIPE})


def upsert_checkout(session_id: str) -> bool:
    """Bring our checkout to where the provider's session is. ``False`` if the session is ours but the checkout is not
    there: then the event has overtaken our commit and must wait."""
    fold = project_checkout_session(event_history.stored_events(session_id, "checkout.session."))
    if fold is None:
        return True
    ensure_customer(fold.customer_id)
    if not fold.reference.startswith("chk_"):
        return True
    ours = Checkout.objects.filter(pk=fold.reference)
    if fold.status != Checkout.Status.PENDING:
        ours.exclude(status=Checkout.Status.ACTIVE).update(
            status=fold.status, ended_at=fold.ended_at, external_id=session_id, subscription_id=fold.subscription_id
        )
    return ours.exists()
