"""The personal data that billing holds. Invoices and the ledger stay: the law requires them for years."""

from collections.abc import Iterable

from django.conf import settings
from django.db.models import Q

from saas.accounts.models import User
from saas.accounts.privacy.data_sources import (
    Exempt,
    delete_rows,
    export_fields,
    register_audited_ids,
    register_deletion_blocker,
    register_personal_data,
    rows_of,
)
from saas.accounts.privacy.free_text import register_free_text
from saas.accounts.privacy.personal_values import PersonalValues
from saas.billing.models import (
    BillingDetails,
    Checkout,
    Customer,
    EntitlementOverride,
    Invoice,
    InvoiceAdjustment,
    LedgerEntry,
    PaymentMethod,
    Subscription,
    TaxId,
)
from saas.billing.models.billing_details import ADDRESS_FIELDS
from saas.billing.sync.erasure import erase_customer_data
from saas.errors import DomainError
from saas.webhook_events.models import ReplayBatch, WebhookAttempt, WebhookEvent

_ACCOUNTING = Exempt("It belongs to the accounting records, which are kept as long as the law requires.")


class StillSubscribed(DomainError):
    code, title = "still_subscribed", "Cancel your subscription first, at once or with its period."  # 409


@register_deletion_blocker
def _require_no_renewal(user: User) -> None:
    """A subscription that ends with its period is no obstacle: it takes no more money."""
    if settings.BILLING and Subscription.objects.for_owner(user).renewing().exists():
        raise StillSubscribed


def _erase_billing_details(user: User, values: PersonalValues) -> None:
    """Those of the account, and of teams that ended with it."""
    ended = Q(team__owner=user, team__deleted_at__isnull=False)
    BillingDetails.objects.filter(Q(user=user) | ended).delete()


_PAYMENT_METHODS = rows_of(PaymentMethod, "customer__user")
_OVERRIDES = rows_of(EntitlementOverride)

register_personal_data(
    Customer, "user", "email",
    name="billing_customers",
    export=export_fields(rows_of(Customer), "id", "provider", "external_id", "email", "created_at"),
    erase=erase_customer_data,
)  # fmt: skip
register_personal_data(
    BillingDetails, "user",
    name="billing_details",
    export=export_fields(rows_of(BillingDetails), "company_name", *ADDRESS_FIELDS, "tax_id_kind", "tax_id", "changed_at"),
    erase=_erase_billing_details,
)  # fmt: skip
register_personal_data(
    PaymentMethod, "customer",
    name="payment_methods",
    export=export_fields(
        _PAYMENT_METHODS, "type", "brand", "last4", "exp_month", "exp_year", "created_at", "detached_at"
    ),
    erase=Exempt("They are deleted with the customer's data."),
)  # fmt: skip
register_personal_data(
    TaxId, "customer",
    name="tax_ids",
    export=export_fields(rows_of(TaxId, "customer__user"), "kind", "value", "status", "created_at", "deleted_at"),
    erase=Exempt("They are deleted with the customer's data."),
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
register_personal_data(
    InvoiceAdjustment, "customer",
    name="refunds_and_disputes",
    export=export_fields(
        rows_of(InvoiceAdjustment, "customer__user"),
        "id", "kind", "status", "currency", "amount_cents", "opened_at", "closed_at",
    ),
    erase=_ACCOUNTING,
)  # fmt: skip


@register_audited_ids
def _audited_ids(user: User) -> Iterable[str]:
    """Staff's reasons for what they did to a subscription or an override are about its customer."""
    for rows in (
        Customer.objects.filter(user=user),
        BillingDetails.objects.filter(user=user),
        Checkout.objects.filter(started_by=user),
        PaymentMethod.objects.filter(customer__user=user),
        Subscription.objects.filter(customer__user=user),
        Invoice.objects.filter(customer__user=user),
        EntitlementOverride.objects.filter(user=user),
    ):
        yield from rows.values_list("pk", flat=True)


register_free_text(EntitlementOverride, "reason")
register_free_text(Checkout, "url")
register_free_text(Invoice, "hosted_url")
register_free_text(ReplayBatch, "reason", "conditions")
register_free_text(WebhookEvent, "last_error")
register_free_text(WebhookAttempt, "error")
