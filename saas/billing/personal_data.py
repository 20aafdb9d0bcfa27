"""The personal data that billing holds. Invoices and the ledger stay: the law requires them for years."""

from typing import Any

from django.conf import settings

from saas.accounts.models import User
from saas.accounts.privacy.data_sources import Exempt, export_rows, register_deletion_blocker, register_personal_data
from saas.billing.models import (
    Checkout,
    Customer,
    EntitlementOverride,
    Invoice,
    LedgerEntry,
    PaymentMethod,
    Subscription,
)
from saas.errors import DomainError

_THE_BOOKS = Exempt("It belongs to the books, which are kept as long as the law asks.")


class StillSubscribed(DomainError):
    code, title = "still_subscribed", "Cancel your subscription first, at once or with its period."  # 409


@register_deletion_blocker
def _require_no_renewal(user: User) -> None:
    """A subscription that ends with its period is no obstacle: it takes no more money."""
    if settings.BILLING and Subscription.objects.for_owner(user).renewing().exists():
        raise StillSubscribed


def _customers(user: User) -> Any:
    return export_rows(Customer.objects.for_owner(user), "id", "provider", "external_id", "email", "created_at")


def _forget_customers(user: User) -> None:
    Customer.objects.for_owner(user).update(email="", default_payment_method="")


def _payment_methods(user: User) -> Any:
    fields = ["type", "brand", "last4", "exp_month", "exp_year", "created_at", "detached_at"]
    return export_rows(PaymentMethod.objects.for_owner(user).select_related(None), *fields)


def _forget_payment_methods(user: User) -> None:
    PaymentMethod.objects.filter(customer__user=user).delete()


def _checkouts(user: User) -> Any:
    return export_rows(Checkout.objects.filter(started_by=user), "id", "plan_id", "status", "started_at", "ended_at")


def _subscriptions(user: User) -> Any:
    fields = ["id", "plan_id", "status", "currency", "monthly_cents", "started_at", "current_period_end"]
    fields += ["cancel_at_period_end", "cancel_at", "ended_at"]
    return export_rows(Subscription.objects.for_owner(user), *fields)


def _invoices(user: User) -> Any:
    fields = ["id", "number", "status", "currency", "total_cents", "amount_paid_cents", "issued_at", "paid_at"]
    return export_rows(Invoice.objects.for_owner(user), *fields)


def _overrides(user: User) -> Any:
    fields = ["kind", "plan_id", "key", "value", "reason", "created_at", "expires_at", "ended_at"]
    return export_rows(EntitlementOverride.objects.filter(user=user), *fields)


def _forget_overrides(user: User) -> None:
    EntitlementOverride.objects.filter(user=user).delete()


register_personal_data(Customer, "user", "email", name="billing_customers", export=_customers, erase=_forget_customers)
register_personal_data(
    PaymentMethod, "customer", name="payment_methods", export=_payment_methods, erase=_forget_payment_methods
)
register_personal_data(Checkout, "started_by", "customer", name="checkouts", export=_checkouts, erase=_THE_BOOKS)
register_personal_data(
    EntitlementOverride, "user", "created_by", name="entitlement_overrides", export=_overrides, erase=_forget_overrides
)
register_personal_data(Subscription, "customer", name="subscriptions", export=_subscriptions, erase=_THE_BOOKS)
register_personal_data(Invoice, "customer", name="invoices", export=_invoices, erase=_THE_BOOKS)
register_personal_data(
    LedgerEntry,
    "customer",
    name="ledger",
    export=Exempt("The invoices and subscriptions tell it in words that are meant for people."),
    erase=_THE_BOOKS,
)
