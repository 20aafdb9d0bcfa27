"""Plans, and the provider's objects. Read-only: an edit would not reach the provider."""

from django.contrib import admin

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.site import admin_site
from admin_ops.status_colors import STATUS_COLORS
from saas.accounts.staff.staff_roles import Permission
from saas.billing import clock
from saas.billing.models import (
    Checkout,
    Customer,
    EntitlementOverride,
    Invoice,
    LedgerEntry,
    PaymentMethod,
    Plan,
    Subscription,
)


class _HasState:
    """A row's status as a coloured badge."""

    @display(description="Status", label=STATUS_COLORS, ordering="status")
    def state(self, row: Subscription | Invoice | Checkout) -> str:
        return row.status


@admin.register(Plan, site=admin_site)
class PlanAdmin(ReadOnlyModelAdmin):
    needs = Permission.READ_BILLING
    list_display = ("name", "id", "monthly", "is_active")
    list_filter = ("is_active",)
    ordering = ("price_cents",)
    fields = ("id", "name", "monthly", "features", "limits", "is_active")
    readonly_fields = fields

    @display(description="A month", ordering="price_cents")
    def monthly(self, row: Plan) -> str:
        return row.price.text()


@admin.register(Customer, site=admin_site)
class CustomerAdmin(ReadOnlyModelAdmin):
    needs = Permission.READ_BILLING
    list_display = ("id", "user", "provider", "external_id", "email", "delinquent", "created_at")
    list_filter = ("provider", "delinquent")
    list_select_related = ("user",)
    search_fields = ("=id", "=external_id", "email", "user__email")
    ordering = ("-id",)
    fields = ("id", "user", "provider", "external_id", "email", "delinquent", "deleted_at", "created_at")
    readonly_fields = fields


@admin.register(Subscription, site=admin_site)
class SubscriptionAdmin(_HasState, StaffActionAdmin):
    needs = Permission.READ_BILLING
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
    needs = Permission.READ_BILLING
    list_display = ("customer", "plan", "state", "started_by", "started_at", "ended_at", "id")
    list_filter = ("status", "plan")
    list_select_related = ("customer", "plan", "started_by")
    search_fields = ("=id", "=external_id", "customer__email", "started_by__email")
    ordering = ("-id",)
    fields = (
        "id", "external_id", "subscription_id", "customer", "state", "plan", "started_by", "started_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields


@admin.register(Invoice, site=admin_site)
class InvoiceAdmin(_HasState, ReadOnlyModelAdmin):
    needs = Permission.READ_BILLING
    list_display = ("shown_number", "customer", "state", "total", "issued_at", "paid_at", "id")
    list_filter = ("status",)
    list_select_related = ("customer",)
    search_fields = ("=id", "=external_id", "=number", "customer__email")
    ordering = ("-id",)
    fields = (
        "id", "external_id", "customer", "subscription_id", "number", "state", "total", "due", "received", "issued_at",
        "paid_at",
    )  # fmt: skip
    readonly_fields = fields

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
    needs = Permission.READ_BILLING
    list_display = ("id", "customer", "type", "brand", "last4", "exp_month", "exp_year", "detached_at")
    list_select_related = ("customer",)
    search_fields = ("=id", "=external_id", "customer__email")
    ordering = ("-id",)
    fields = ("id", "customer", "type", "brand", "last4", "exp_month", "exp_year", "detached_at", "created_at")
    readonly_fields = fields


@admin.register(LedgerEntry, site=admin_site)
class LedgerEntryAdmin(ReadOnlyModelAdmin):
    needs = Permission.READ_BILLING
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
    needs = Permission.READ_BILLING
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
