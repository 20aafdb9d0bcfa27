"""Billing's rows as the plain dictionaries that go out; ``serializers.py`` documents them."""

from datetime import datetime
from typing import Any

from saas.billing.entitlements import EntitlementDetail
from saas.billing.models import Checkout, Invoice, PaymentMethod, Plan, Subscription
from saas.billing.providers import ChangePreview


def plan(row: Plan) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "price_monthly": row.price_monthly,
        "currency": row.currency,
        "features": row.features,
        "limits": row.limits,
    }


def checkout(row: Checkout) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": row.status,
        "plan": plan(row.plan),
        "started_at": row.started_at,
        "checkout_url": row.url or None,
    }


def subscription(row: Subscription, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "plan": plan(row.plan) if row.plan else None,
        "status": row.status,
        "has_access": row.grants_access(now),
        "current_period_end": row.current_period_end,
        "cancel_at_period_end": row.ends_with_period,
        "cancel_at": row.ends_at,
        "trial_end": row.trial_end,
        "past_due_since": row.past_due_since,
        "canceled_at": row.canceled_at,
        "started_at": row.started_at,
    }


def preview(result: ChangePreview, new_plan: Plan) -> dict[str, Any]:
    return {
        "plan": plan(new_plan),
        "next_invoice_cents": result.due_cents,
        "currency": result.currency,
        "next_charge_at": result.next_charge_at,
    }


def payment_method(row: PaymentMethod) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "provider": row.brand,
        "last4": row.last4,
        "exp_month": row.exp_month,
        "exp_year": row.exp_year,
        "is_default": bool(row.customer and row.customer.default_payment_method == row.external_id),
        "created_at": row.created_at,
    }


def entitlement(detail: EntitlementDetail) -> dict[str, Any]:
    return {
        "key": detail.key,
        "value": detail.value,
        "source": detail.source,
        "plan": detail.plan_id,
        "expires_at": detail.expires_at,
    }


def invoice(row: Invoice) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "status": row.status,
        "currency": row.currency,
        "total_cents": row.total_cents,
        "amount_due_cents": row.amount_due_cents,
        "amount_paid_cents": row.amount_paid_cents,
        "issued_at": row.issued_at,
        "paid_at": row.paid_at,
        "url": row.hosted_url or None,
    }
