"""What is for sale: plans, the versions of their prices, and promotion codes."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from admin_ops.admin.action_pages import StaffActionAdmin
from admin_ops.admin.columns import display
from admin_ops.admin.permissions import request_permissions
from admin_ops.admin.site import admin_site
from admin_ops.admin.subscription_sentences import price_text
from admin_ops.offers import with_offers
from admin_ops.status_colors import GOOD
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing import providers
from saas.billing.models import Plan, Price, PromotionCode, Subscription
from saas.billing.models.catalogue import listed_prices, price_list

STATES = {"sold": GOOD}


@admin.register(Plan, site=admin_site)
class PlanAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "No plan is for sale. `manage.py plans import` brings some from a file."
    list_display = ("name", "id", "monthly", "state", "is_visible")
    list_filter = ("is_active",)
    fields = ("id",)
    readonly_fields = fields
    change_form_template = "admin_ops/plan.html"
    list_before_template = "admin_ops/parts/price_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        return Plan.objects.in_order()

    @display(description="A month", ordering="price_cents")
    def monthly(self, row: Plan) -> str:
        return row.price.text() if row.price else "–"

    @display(description="State", label=STATES, ordering="is_active")
    def state(self, row: Plan) -> str:
        return "sold" if row.is_active else "archived"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With the public price list, as customers see it now."""
        prices = listed_prices(providers.current_provider())
        shown = [(plan, [price for price in prices if price.plan_id == plan.pk]) for plan in price_list()]
        return super().changelist_view(request, {**(extra_context or {}), "price_list": shown})

    def page_of(self, request: HttpRequest, row: Plan) -> dict[str, Any]:
        prices = row.prices.order_by("-is_current", "currency", "interval", "-version")
        return {
            "plan": row,
            "prices": with_offers(prices, request_permissions(request), back=request.get_full_path()),
            "subscriptions": Subscription.objects.live().filter(plan=row).count(),
        }


@admin.register(Price, site=admin_site)
class PriceAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "No plan has a price."
    list_display = ("external_id", "plan", "shown_amount", "interval", "version", "state", "created_at", "replaced_at")
    list_filter = ("is_current", "plan", "interval")
    list_select_related = ("plan",)
    search_fields = ("=external_id", "=product_id", "=plan__id")
    search_help_text = "The provider's id of a price or product, or a plan's id"
    ordering = ("-id",)
    fields = (
        "external_id", "plan", "shown_amount", "interval", "is_per_unit", "included_quantity", "version",
        "product_id", "provider", "created_at", "replaced_at",
    )  # fmt: skip
    readonly_fields = fields

    def heading(self, row: Price) -> str:
        return f"{row.plan or row.product_id}, {price_text(row)}"

    def sentence_of(self, row: Price) -> str:
        if row.is_current and row.is_active:
            return f"New subscriptions get it, since {row.created_at:%-d %b %Y}." if row.created_at else "It is sold."
        until = f" since {row.replaced_at:%-d %b %Y}" if row.replaced_at else ""
        return f"New subscriptions get another{until}; who bought at it goes on paying it."

    @display(description="Amount", ordering="unit_amount_cents")
    def shown_amount(self, row: Price) -> str:
        return row.amount.text() if row.amount else "tiered or metered"

    @display(description="State", label=STATES, ordering="is_current")
    def state(self, row: Price) -> str:
        return "sold" if row.is_current and row.is_active else "kept by its buyers"


@admin.register(PromotionCode, site=admin_site)
class PromotionCodeAdmin(StaffActionAdmin):
    needs = StaffPermission.READ_BILLING
    empty_text = "There is no promotion code: a discount that customers enter at the checkout, or that staff give."
    list_display = ("code", "name", "takes_off", "duration", "max_redemptions", "expires_at", "state")
    list_filter = ("is_active", "duration")
    search_fields = ("code", "name")
    ordering = ("-id",)
    fields = (
        "code", "name", "takes_off", "duration", "duration_months", "max_redemptions", "expires_at", "external_id",
        "created_at",
    )  # fmt: skip
    readonly_fields = fields

    def sentence_of(self, row: PromotionCode) -> str:
        until = f" until {row.expires_at:%-d %b %Y}" if row.expires_at else ""
        return f"Takes {row.off} off {row.span}{until}."

    @display(description="Takes off")
    def takes_off(self, row: PromotionCode) -> str:
        return row.off

    @display(description="State", label={"redeemable": GOOD}, ordering="is_active")
    def state(self, row: PromotionCode) -> str:
        return "redeemable" if row.is_active else "ended"
