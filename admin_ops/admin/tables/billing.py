"""The provider's objects. Read-only: an edit would not reach the provider."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.site import admin_site
from admin_ops.status_colors import STATUS_COLORS
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import clock
from saas.billing.invoices.details import invoice_details
from saas.billing.models import (
    Checkout,
    Customer,
    EntitlementOverride,
    Invoice,
    LedgerEntry,
    PaymentMethod,
    PriceMove,
    Subscription,
)

SHOWN = 50


class _HasState:
    """A row's status as a coloured badge."""

    @display(description="Status", label=STATUS_COLORS, ordering="status")
    def state(self, row: Subscription | Invoice | Checkout) -> str:
        return row.status


@admin.register(PriceMove, site=admin_site)
class PriceMoveAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "No price is being moved. “Move its payers” on the page of an older price begins it."
    list_display = ("from_price", "to_price", "effective_at", "ended_at", "is_called_off")
    list_select_related = ("from_price", "to_price")
    ordering = ("-id",)
    fields = (
        "id",
        "from_price",
        "to_price",
        "effective_at",
        "reason",
        "created_at",
        "ended_at",
        "is_called_off",
        "left",
    )
    readonly_fields = fields

    @display(description="Still to be moved")
    def left(self, row: PriceMove) -> str:
        return ", ".join(f"{step.subscription_id} {step.error}".strip() for step in row.steps.waiting())


@admin.register(Customer, site=admin_site)
class CustomerAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "There is no customer yet. Customers are listed here from their first checkout on."
    list_display = ("external_id", "user", "provider", "email", "delinquent", "created_at")
    list_filter = ("provider", "delinquent")
    list_select_related = ("user",)
    search_fields = ("=id", "=external_id", "email", "user__email")
    ordering = ("-id",)
    fields = ("id", "user", "provider", "external_id", "email", "delinquent", "deleted_at", "created_at")
    readonly_fields = fields


@admin.register(Subscription, site=admin_site)
class SubscriptionAdmin(_HasState, StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "There is no subscription yet."
    list_display = ("customer", "plan", "state", "monthly", "goes_on", "started_at")
    list_filter = ("status", "plan")
    list_select_related = ("customer", "plan")
    search_fields = ("=id", "=external_id", "customer__email", "customer__user__email")
    ordering = ("-id",)
    fields = (
        "id", "external_id", "customer", "state", "plan", "plan_is_known", "price_id", "quantity", "monthly",
        "current_period_end", "cancel_at_period_end", "cancel_at", "trial_end", "past_due_since", "canceled_at", "ended_at",
        "ambiguous", "started_at", "changed_at",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="A month", ordering="monthly_cents")
    def monthly(self, row: Subscription) -> str:
        return row.monthly.text()

    @display(description="Goes on", ordering="current_period_end")
    def goes_on(self, row: Subscription) -> str:
        if row.ended_at or row.current_period_end is None:
            return f"ended {row.ended_at:%-d %b %Y}" if row.ended_at else ""
        return f"ends {row.ends_at:%-d %b %Y}" if row.ends_at else f"renews {row.current_period_end:%-d %b %Y}"


@admin.register(Checkout, site=admin_site)
class CheckoutAdmin(_HasState, ReadOnlyModelAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "There is no checkout yet."
    list_display = ("customer", "plan", "state", "started_by", "started_at", "ended_at")
    list_filter = ("status", "plan")
    list_select_related = ("customer", "plan", "started_by")
    search_fields = ("=id", "=external_id", "customer__email", "started_by__email")
    ordering = ("-id",)
    fields = (
        "id", "external_id", "subscription_id", "customer", "state", "plan", "started_by", "started_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields


@admin.register(Invoice, site=admin_site)
class InvoiceAdmin(_HasState, StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "No invoice was issued yet."
    list_display = ("shown_number", "customer", "state", "total", "issued_at", "paid_at")
    list_filter = ("status",)
    list_select_related = ("customer",)
    search_fields = ("=id", "=external_id", "=number", "customer__email")
    ordering = ("-id",)
    fields = (
        "id", "external_id", "customer", "subscription_id", "number", "state", "total", "due", "received", "issued_at",
        "paid_at",
    )  # fmt: skip
    readonly_fields = fields
    change_form_template = "admin_ops/invoice.html"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        invoice: Invoice = context["original"]
        subscription = Subscription.objects.filter(external_id=invoice.subscription_id).first()
        context |= {
            "title": f"Invoice {invoice}",
            "invoice": invoice,
            "details": invoice_details(invoice),
            "subscription": subscription,
            "adjustments": list(invoice.adjustments.order_by("-opened_at")[:SHOWN]),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="Number", ordering="number")
    def shown_number(self, row: Invoice) -> str:
        return row.number or row.external_id

    @display(description="Total", ordering="total_cents")
    def total(self, row: Invoice) -> str:
        return row.total.text()

    @display(description="Due")
    def due(self, row: Invoice) -> str:
        return row.amount_due.text()

    @display(description="Paid")
    def received(self, row: Invoice) -> str:
        return row.amount_paid.text()


@admin.register(PaymentMethod, site=admin_site)
class PaymentMethodAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "No payment method was stored yet."
    list_display = ("id", "customer", "type", "brand", "last4", "exp_month", "exp_year", "detached_at")
    list_select_related = ("customer",)
    search_fields = ("=id", "=external_id", "customer__email")
    ordering = ("-id",)
    fields = ("id", "customer", "type", "brand", "last4", "exp_month", "exp_year", "detached_at", "created_at")
    readonly_fields = fields


@admin.register(LedgerEntry, site=admin_site)
class LedgerEntryAdmin(ReadOnlyModelAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "Recurring revenue has not moved yet: it does with the first subscription."
    list_display = ("at", "subscription", "kind", "movement", "delta", "monthly")
    list_filter = ("kind",)
    list_select_related = ("subscription__plan",)
    search_fields = ("=subscription__id", "=event_id")
    ordering = ("-id",)
    fields = ("at", "subscription", "customer", "kind", "movement", "delta", "monthly", "event_id")
    readonly_fields = fields

    @display(description="Change", ordering="delta_cents")
    def delta(self, row: LedgerEntry) -> str:
        return row.delta.text()

    @display(description="A month afterwards", ordering="monthly_cents")
    def monthly(self, row: LedgerEntry) -> str:
        return row.monthly.text()


@admin.register(EntitlementOverride, site=admin_site)
class EntitlementOverrideAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = (
        "Nothing was given. “Give a plan” or “Give a limit or feature” on the page of a customer or team does it."
    )
    list_display = ("what", "kind", "owner", "stage", "reason", "created_by", "created_at", "expires_at")
    list_filter = ("kind",)
    list_select_related = ("user", "team", "plan", "created_by")
    search_fields = ("=id", "user__email", "=team__id", "created_by__email")
    ordering = ("-id",)
    fields = (
        "id", "what", "kind", "owner", "stage", "reason", "created_by", "created_at", "expires_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="What")
    def what(self, row: EntitlementOverride) -> str:
        return str(row)

    @display(description="For")
    def owner(self, row: EntitlementOverride) -> str:
        return str(row.user or row.team)

    @display(description="State", label={"counts": "success"})
    def stage(self, row: EntitlementOverride) -> str:
        return "counts" if row.is_live(clock.now()) else "over"
