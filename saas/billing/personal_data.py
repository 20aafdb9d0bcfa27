"""The personal data that billing holds. Invoices and the ledger stay: the law requires them for years."""

from django.conf import settings

from saas.accounts.models import User
from saas.accounts.privacy.data_sources import (
    Exempt,
    delete_rows,
    export_fields,
    register_deletion_blocker,
    register_personal_data,
    rows_of,
)
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

_ACCOUNTING = Exempt("It belongs to the accounting records, which are kept as long as the law requires.")


class StillSubscribed(DomainError):
    code, title = "still_subscribed", "Cancel your subscription first, at once or with its period."  # 409


@register_deletion_blocker
def _require_no_renewal(user: User) -> None:
    """A subscription that ends with its period is no obstacle: it takes no more money."""
    if settings.BILLING and Subscription.objects.for_owner(user).renewing().exists():
        raise StillSubscribed


def _blank_customers(user: User) -> None:
    Customer.objects.for_owner(user).update(email="", default_payment_method="")


_PAYMENT_METHODS = rows_of(PaymentMethod, "customer__user")
_OVERRIDES = rows_of(EntitlementOverride)

register_personal_data(
    Customer, "user", "email",
    name="billing_customers",
    export=export_fields(rows_of(Customer), "id", "provider", "external_id", "email", "created_at"),
    erase=_blank_customers,
)  # fmt: skip
register_personal_data(
    PaymentMethod, "customer",
    name="payment_methods",
    export=export_fields(
        _PAYMENT_METHODS, "type", "brand", "last4", "exp_month", "exp_year", "created_at", "detached_at"
    ),
    erase=delete_rows(_PAYMENT_METHODS),
)  # fmt: skip
register_personal_data(
    Checkout, "started_by", "customer",
    name="checkouts",
    export=export_fields(rows_of(Checkout, "started_by"), "id", "plan_id", "status", "started_at", "ended_at"),
    erase=_ACCOUNTING,
)  # fmt: skip
register_personal_data(
    EntitlementOverride, "user", "created_by",
    name="entitlement_overrides",
    export=export_fields(
        _OVERRIDES, "kind", "plan_id", "key", "value", "reason", "created_at", "expires_at", "ended_at"
    ),
    erase=delete_rows(_OVERRIDES),
)  # fmt: skip
register_personal_data(
    Subscription, "customer",
    name="subscriptions",
    export=export_fields(
        rows_of(Subscription, "customer__user"),
        "id", "plan_id", "status", "currency", "monthly_cents", "started_at", "current_period_end",
        "cancel_at_period_end", "cancel_at", "ended_at",
    ),
    erase=_ACCOUNTING,
)  # fmt: skip
register_personal_data(
    Invoice, "customer",
    name="invoices",
    export=export_fields(
        rows_of(Invoice, "customer__user"),
        "id", "number", "status", "currency", "total_cents", "amount_paid_cents", "issued_at", "paid_at",
    ),
    erase=_ACCOUNTING,
)  # fmt: skip
register_personal_data(
    LedgerEntry, "customer",
    name="ledger",
    export=Exempt("The invoices and subscriptions show the same in a form that is meant for people."),
    erase=_ACCOUNTING,
)  # fmt: skip
