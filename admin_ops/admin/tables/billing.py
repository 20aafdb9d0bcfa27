"""The provider's objects. Read-only: an edit would not reach the provider."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.base import ReadOnlyModelAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.live_pages import live_context, timeline_context
from admin_ops.admin.permissions import request_permissions
from admin_ops.admin.site import admin_site
from admin_ops.admin.subscription_sentences import price_text, subscription_sentences
from admin_ops.alarms import alarm_notices
from admin_ops.offers import with_offers
from admin_ops.status_colors import STATUS_COLORS, humanize
from admin_ops.timeline import build_subscription_timeline
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import clock
from saas.billing.alarms import Alarm, alarms_of_customer
from saas.billing.invoices.details import invoice_details
from saas.billing.models import (
    Checkout,
    Customer,
    EntitlementOverride,
    Invoice,
    InvoiceAdjustment,
    LedgerEntry,
    PaymentMethod,
    PriceMove,
    Subscription,
)
from saas.money import Money
from saas.webhook_events.models import WebhookEvent

SHOWN = 50
SUBSCRIPTION_KINDS = {"": "Everything", "money": "Money", "webhook": "Webhooks", "staff": "Staff"}.items()


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

    def heading(self, row: PriceMove) -> str:
        return f"{row.from_price.plan}: {price_text(row.from_price)} to {price_text(row.to_price)}"

    def sentence_of(self, row: PriceMove) -> str:
        if row.ended_at:
            return f"It was {'called off' if row.is_called_off else 'done'} on {row.ended_at:%-d %b %Y}."
        return f"Its payers move on {row.effective_at:%-d %b %Y}: {row.reason}"

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
    fields = ("id", "user", "team", "provider", "external_id", "email", "delinquent", "deleted_at", "created_at")
    readonly_fields = fields
    change_form_template = "admin_ops/paying_customer.html"

    def page_of(self, request: HttpRequest, row: Customer) -> dict[str, Any]:
        permissions, back = request_permissions(request), request.get_full_path()
        subscriptions = row.subscriptions.with_customer().order_by("-pk")[:SHOWN]
        invoices = row.invoices.issued().select_related("customer").order_by("-issued_at", "-pk")[:SHOWN]
        return {
            "notices": alarm_notices(alarms_of_customer(row), permissions, back=back),
            "subscriptions": with_offers(subscriptions, permissions, back=back),
            "invoices": with_offers(invoices, permissions, back=back),
        }


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
        "id", "external_id", "customer", "plan", "plan_is_known", "price_id", "item_id", "quantity", "monthly",
        "current_period_end", "trial_end", "past_due_since", "cancel_at", "canceled_at", "ended_at", "started_at",
        "changed_at", "ambiguous",
    )  # fmt: skip
    readonly_fields = fields
    change_form_template = "admin_ops/subscription.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return Subscription.objects.with_customer().select_related("pending_change__price__plan")

    def heading(self, row: Subscription) -> str:
        return row.plan.name if row.plan else row.price_id or "Unknown plan"

    def page_of(self, request: HttpRequest, row: Subscription) -> dict[str, Any]:
        """What concerns this subscription alone, of what its customer's page shows."""
        invoices = Invoice.objects.filter(customer=row.customer, subscription_id=row.external_id).issued()
        newest = invoices.select_related("customer").order_by("-issued_at", "-pk")[:SHOWN]
        mine = [alarm for alarm in alarms_of_customer(row.customer) if _concerns(alarm, row)]
        return {
            "subscription": row,
            "sentences": subscription_sentences(row, clock.now()),
            "invoices": with_offers(newest, request_permissions(request), back=request.get_full_path()),
            **live_context(request, mine, Customer.objects.filter(pk=row.customer_id)),
            **timeline_context(request, build_subscription_timeline(row), SUBSCRIPTION_KINDS),
        }

    @display(description="A month", ordering="monthly_cents")
    def monthly(self, row: Subscription) -> str:
        return row.monthly.text()

    @display(description="Goes on", ordering="current_period_end")
    def goes_on(self, row: Subscription) -> str:
        if row.ended_at or row.current_period_end is None:
            return f"ended {row.ended_at:%-d %b %Y}" if row.ended_at else ""
        return f"ends {row.ends_at:%-d %b %Y}" if row.ends_at else f"renews {row.current_period_end:%-d %b %Y}"


def _concerns(alarm: Alarm, row: Subscription) -> bool:
    """Whether it is about the subscription, an event of it, or one of its invoices."""
    target = alarm.target
    if isinstance(target, WebhookEvent):
        return target.object_id == row.external_id
    invoice = target.invoice if isinstance(target, InvoiceAdjustment) else target
    is_its_invoice = isinstance(invoice, Invoice) and invoice.subscription_id == row.external_id
    return is_its_invoice or (isinstance(target, Subscription) and target.pk == row.pk)


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
        "id", "external_id", "subscription_id", "customer", "plan", "quantity", "promotion_code", "started_by", "started_at",
        "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    def heading(self, row: Checkout) -> str:
        return f"Checkout of {row.plan}"

    def sentence_of(self, row: Checkout) -> str:
        began = f"{row.started_by or 'A deleted account'} began to buy {row.plan} on {row.started_at:%-d %b %Y}"
        return f"{began}; it ended on {row.ended_at:%-d %b %Y}." if row.ended_at else f"{began}; it is open."


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

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        return super().get_queryset(request).exclude(Invoice.IS_STUB)

    def heading(self, row: Invoice) -> str:
        return f"Invoice {row}"

    def page_of(self, request: HttpRequest, row: Invoice) -> dict[str, Any]:
        return {
            "invoice": row,
            "details": invoice_details(row),
            "subscription": Subscription.objects.filter(external_id=row.subscription_id).first(),
            "adjustments": list(row.adjustments.order_by("-opened_at")[:SHOWN]),
        }

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
    list_display = ("method", "customer", "good_until", "state", "created_at")
    list_select_related = ("customer",)
    search_fields = ("=id", "=external_id", "=last4", "customer__email")
    ordering = ("-id",)
    fields = ("method", "customer", "good_until", "created_at", "detached_at", "id", "external_id")
    readonly_fields = fields

    def heading(self, row: PaymentMethod) -> str:
        return self.method(row)

    def sentence_of(self, row: PaymentMethod) -> str:
        whose = f"{row.customer or 'A customer'} paid with it, or may"
        return f"{whose}, until it was removed on {row.detached_at:%-d %b %Y}." if row.detached_at else f"{whose}."

    @display(description="Method", ordering="brand")
    def method(self, row: PaymentMethod) -> str:
        name = humanize(row.brand or row.type).capitalize() or "Unknown"
        return f"{name} •••• {row.last4}" if row.last4 else name

    @display(description="Good until", ordering="exp_year")
    def good_until(self, row: PaymentMethod) -> str:
        return f"{row.exp_month:02}/{row.exp_year}" if row.exp_month and row.exp_year else "–"

    @display(description="State", label=STATUS_COLORS)
    def state(self, row: PaymentMethod) -> str:
        return "removed" if row.detached_at else "active"


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

    def heading(self, row: LedgerEntry) -> str:
        return f"{row.subscription.plan or row.subscription.price_id}: {row.get_kind_display().lower()}"

    def sentence_of(self, row: LedgerEntry) -> str:
        since = f"From {row.at:%-d %b %Y} the subscription of {row.customer} brought {row.monthly.text()} a month"
        change = Money(abs(row.delta_cents), row.currency).text()
        if not row.delta_cents:
            return f"{since}, as before."
        return f"{since}, {change} {'more' if row.delta_cents > 0 else 'less'} than before."

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
    list_display = ("what", "kind", "owner", "stage", "reason", "created_by", "expires_at")
    list_filter = ("kind",)
    list_select_related = ("user", "team", "plan", "created_by")
    search_fields = ("=id", "user__email", "=team__id", "created_by__email")
    ordering = ("-id",)
    fields = (
        "id", "kind", "user", "team", "reason", "created_by", "created_at", "expires_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    def sentence_of(self, row: EntitlementOverride) -> str:
        until = (
            f"it was taken back on {row.ended_at:%-d %b %Y}" if row.ended_at else f"until {row.expires_at:%-d %b %Y}"
        )
        return f"{row.created_by or 'Staff'} gave it to {self.owner(row)}, {until}."

    @display(description="What")
    def what(self, row: EntitlementOverride) -> str:
        return str(row)

    @display(description="For")
    def owner(self, row: EntitlementOverride) -> str:
        return str(row.user or row.team)

    @display(description="State", label={"counts": "success"})
    def stage(self, row: EntitlementOverride) -> str:
        return "counts" if row.is_live(clock.now()) else "over"
