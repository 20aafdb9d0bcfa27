"""The bodies, queries and answers of billing. Answers are built from the shapes (``saas.api.representation``)."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from saas.api.fields import NameField, OptionalIntegerField, StrictBooleanField, StrictCharField, StrictIntegerField
from saas.api.pagination import PageQuery, PageShape
from saas.api.representation import represent
from saas.billing.catalogue import limits_and_features
from saas.billing.catalogue.offers import offered_trial_days
from saas.billing.invoices import billed_to
from saas.billing.invoices.tax_ids import KINDS as TAX_ID_KINDS
from saas.billing.models import BillingDetails, Checkout, Interval, Invoice, Plan, Price
from saas.billing.models.catalogue import LARGEST_QUANTITY

PAYMENT_METHOD_TYPES = ["card", "bank_account", "sepa_debit", "us_bank_account", "paypal", "link"]
_LATEST_YEAR = 2100


class TeamField(StrictCharField):
    """Whose subscription: the caller's own (empty), or that of one of their teams."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, required=False, default="", allow_blank=True, **options)


class AddressField(NameField):
    """One line of a billing address, a company's name or a tax id."""

    def __init__(self, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, required=False, default="", allow_blank=True, **options)


class OwnerBody(serializers.Serializer[Any]):
    team_id = TeamField()


class PortalBody(OwnerBody):
    """Whose page."""


class OwnedPageQuery(PageQuery, OwnerBody):
    """One page of what the caller, or one of their teams, has."""


class QuantityField(StrictIntegerField):
    """Seats, where the plan is sold per seat."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=LARGEST_QUANTITY, required=False, default=None, **options)


class CheckoutBody(OwnerBody):
    plan_id = StrictCharField(max_length=32)
    interval = serializers.ChoiceField(
        Interval.choices, required=False, default="", help_text="By default the month, where the plan is sold by it."
    )
    currency = StrictCharField(
        max_length=3, required=False, default="", allow_blank=True, help_text="By default BILLING_CURRENCY."
    )
    quantity = QuantityField(help_text="Seats, where the plan is sold per seat; by default those that are taken.")
    promotion_code = StrictCharField(max_length=64, required=False, default="", allow_blank=True)


class PreviewBody(OwnerBody):
    """What the subscription would be changed to."""

    plan_id = StrictCharField(max_length=32)
    interval = serializers.ChoiceField(
        Interval.choices, required=False, default="", help_text="By default as before, where the plan is sold so."
    )
    quantity = QuantityField(
        help_text="Seats, where the plan is sold per seat. By default as before; for a team whose change begins a new period, "
        "the seats taken."
    )


class ImmediateChangeBody(PreviewBody):
    prorated_at = serializers.DateTimeField(
        required=False, default=None, help_text="The preview's, for its amounts to hold; at most 15 minutes ago."
    )


class ChangeBody(ImmediateChangeBody):
    when = serializers.ChoiceField(
        ["now", "period_end"],
        required=False,
        default="now",
        help_text="At the period's end it shows as `pending_change`.",
    )


class CancelBody(OwnerBody):
    at_period_end = StrictBooleanField(
        default=True, help_text="One whose period is not paid ends at once in any case, and is charged no more."
    )
    reason = StrictCharField(max_length=500, required=False, default="", allow_blank=True)


class BillingDetailsBody(OwnerBody):
    """The whole of it: what is left out or empty is no longer there."""

    company_name = AddressField(200, help_text="The legal name. Without one the person is billed, by their name.")
    line1 = AddressField(200)
    line2 = AddressField(200)
    postal_code = AddressField(20)
    city = AddressField(100)
    state = AddressField(100)
    country = AddressField(2, help_text="ISO 3166, such as DE.")
    tax_id_kind = serializers.ChoiceField(
        [("", ""), *((name, name) for name in TAX_ID_KINDS)], required=False, default="", help_text="Stripe's names."
    )
    tax_id = AddressField(40)


class PaymentMethodBody(OwnerBody):
    type = serializers.ChoiceField(PAYMENT_METHOD_TYPES)
    provider = StrictCharField(max_length=64, help_text="The brand, such as visa.")
    last4 = StrictCharField(max_length=4, min_length=4)
    exp_month = OptionalIntegerField(min_value=1, max_value=12)
    exp_year = OptionalIntegerField(min_value=2000, max_value=_LATEST_YEAR)

    def validate_last4(self, value: str) -> str:
        if not (value.isascii() and value.isdigit()):
            raise serializers.ValidationError("Give the last four digits.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        month, year = attrs["exp_month"], attrs["exp_year"]
        if attrs["type"] == "card" and (month is None or year is None):
            raise serializers.ValidationError({"exp_month": ["A card has a month and a year of expiry."]})
        today = timezone.now()
        if month and year and (year, month) < (today.year, today.month):
            raise serializers.ValidationError({"exp_year": ["This has expired."]})
        return attrs


class BillingDetailsShape(serializers.Serializer[Any]):
    company_name = serializers.CharField()
    line1 = serializers.CharField()
    line2 = serializers.CharField()
    postal_code = serializers.CharField()
    city = serializers.CharField()
    state = serializers.CharField()
    country = serializers.CharField()
    tax_id_kind = serializers.CharField()
    tax_id = serializers.CharField(help_text="With the dashes and dots that numbers of its kind have at Stripe.")
    tax_id_state = serializers.CharField(
        help_text="Empty without one, else: pending, verified, unverified, unavailable (numbers of its kind are not checked), or "
        "refused by the payment provider. More may be added."
    )
    tax_id_sentence = serializers.CharField(help_text="What the state means, for people; in English.")


def represent_billing_details(row: BillingDetails) -> dict[str, Any]:
    state = billed_to.tax_id_state(row)
    sentence = billed_to.TAX_ID_SENTENCES[state]
    return represent(BillingDetailsShape, row, tax_id_state=state, tax_id_sentence=sentence)


class OneBillingDetailsShape(serializers.Serializer[Any]):
    billing_details = BillingDetailsShape()


class LimitsShape(serializers.Serializer[Any]):
    """A field for every declared limit."""

    def get_fields(self) -> dict[str, Any]:
        return {
            key: serializers.IntegerField(allow_null=True, help_text="Null: no limit.")
            for key in limits_and_features.limit_keys()
        }


class PlanShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    price_monthly = serializers.FloatField(help_text="In whole units of the currency.")
    currency = serializers.CharField()
    features = serializers.ListField(child=serializers.CharField())
    limits = LimitsShape()


class BoughtPlanShape(PlanShape):
    price_monthly = serializers.FloatField(
        allow_null=True,
        help_text="In whole units of the currency. Null where the plan is not sold by the month in it.",
    )


def represent_plan(plan: Plan) -> dict[str, Any]:
    return represent(PlanShape, plan, limits=limits_and_features.complete_limits(plan.limits))


class PricedPlanShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    features = serializers.ListField(child=serializers.CharField())
    limits = LimitsShape()


class PriceShape(serializers.Serializer[Any]):
    plan = PricedPlanShape()
    interval = serializers.ChoiceField(Interval.choices)
    currency = serializers.CharField()
    amount = serializers.FloatField(
        source="amount.units",
        help_text="For one interval, in whole units of the currency; of each seat where per_unit.",
    )
    amount_cents = serializers.IntegerField(
        source="unit_amount_cents", help_text="The same in the currency's smallest unit."
    )
    per_unit = serializers.BooleanField(source="is_per_unit", help_text="The quantity is the number of seats.")
    included_quantity = serializers.IntegerField(help_text="The fewest units that are charged.")
    trial_days = serializers.IntegerField(help_text="How many days a customer's first subscription is free.")


def represent_price(price: Price, plan: Plan) -> dict[str, Any]:
    limits = limits_and_features.complete_limits(plan.limits)
    return represent(
        PriceShape, price, plan=represent(PricedPlanShape, plan, limits=limits), trial_days=offered_trial_days(plan)
    )


class PlansShape(serializers.Serializer[Any]):
    plans = PlanShape(many=True, help_text="Those with a price by the month in the default currency.")
    prices = PriceShape(many=True, help_text="Everything that is sold: by the month and the year, in each currency.")


class CheckoutShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    status = serializers.ChoiceField(Checkout.Status.choices)
    plan = BoughtPlanShape()
    started_at = serializers.DateTimeField()
    checkout_url = serializers.CharField(allow_null=True, help_text="Where the customer pays; null if all is done.")


class OneCheckoutShape(serializers.Serializer[Any]):
    checkout = CheckoutShape()


class PendingChangeShape(serializers.Serializer[Any]):
    plan_id = serializers.CharField(source="price.plan_id")
    interval = serializers.CharField(source="price.interval")
    quantity = serializers.IntegerField()
    at = serializers.DateTimeField(help_text="When the period ends; until then it can be called off.")


class SubscriptionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    plan = BoughtPlanShape(allow_null=True)
    status = serializers.CharField(help_text="As the payment provider names it.")
    has_access = serializers.BooleanField()
    current_period_end = serializers.DateTimeField(allow_null=True)
    cancel_at_period_end = serializers.BooleanField(
        source="ends_with_period", help_text="It ends before it would take money again."
    )
    cancel_at = serializers.DateTimeField(
        source="ends_at", allow_null=True, help_text="When it ends, if it was canceled; until then it can be resumed."
    )
    trial_end = serializers.DateTimeField(allow_null=True)
    past_due_since = serializers.DateTimeField(allow_null=True)
    canceled_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField()
    pending_change = PendingChangeShape(allow_null=True, help_text="What was planned for the period's end.")


class CurrentShape(serializers.Serializer[Any]):
    subscription = SubscriptionShape(allow_null=True)


class OneSubscriptionShape(serializers.Serializer[Any]):
    subscription = SubscriptionShape()


class PreviewLineShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        ["price", "unused", "rest", "earlier"],
        help_text="A period's price; the unused time of what was bought; the rest of the period; earlier changes.",
    )
    amount_cents = serializers.IntegerField(help_text="Below nothing it is credited.")


@extend_schema_serializer(component_name="Preview")
class PlanChangePreviewShape(serializers.Serializer[Any]):
    plan = BoughtPlanShape()
    next_invoice_cents = serializers.IntegerField(
        source="invoice.due_cents", help_text="The new price and what the change costs or credits."
    )
    currency = serializers.CharField(source="invoice.currency")
    next_charge_at = serializers.DateTimeField(source="invoice.next_charge_at", allow_null=True)
    is_charged_now = serializers.BooleanField(
        help_text="With another interval, and from a free price, a new period begins, and is charged."
    )
    prorated_at = serializers.DateTimeField(help_text="Send it with the change, and these amounts are charged.")
    lines = PreviewLineShape(source="invoice.lines", many=True)
    discount_cents = serializers.IntegerField(source="invoice.discount_cents")
    tax_cents = serializers.IntegerField(source="invoice.tax_cents")
    total_cents = serializers.IntegerField(
        source="invoice.total_cents", help_text="The lines less the discount plus the tax; credit pays it first."
    )


class OnePreviewShape(serializers.Serializer[Any]):
    preview = PlanChangePreviewShape()


class PaymentMethodShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    type = serializers.CharField()
    provider = serializers.CharField(source="brand")
    last4 = serializers.CharField()
    exp_month = serializers.IntegerField(allow_null=True)
    exp_year = serializers.IntegerField(allow_null=True)
    is_default = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class OnePaymentMethodShape(serializers.Serializer[Any]):
    payment_method = PaymentMethodShape()


class PaymentMethodsShape(PageShape):
    payment_methods = PaymentMethodShape(many=True)


class InvoiceShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.CharField()
    status = serializers.ChoiceField(Invoice.Status.choices)
    currency = serializers.CharField()
    total_cents = serializers.IntegerField()
    amount_due_cents = serializers.IntegerField()
    amount_paid_cents = serializers.IntegerField()
    issued_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    url = serializers.CharField(
        allow_null=True,
        help_text="The provider's page, for a month or two: an invoice that is got alone has a new one.",
    )


class OneInvoiceShape(serializers.Serializer[Any]):
    invoice = InvoiceShape()


class InvoicesShape(PageShape):
    invoices = InvoiceShape(many=True)


class EntitlementShape(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="The limit's or the feature's name.")
    value = serializers.IntegerField(allow_null=True, help_text="A limit's; null is no limit. Null for a feature.")
    source = serializers.ChoiceField(["free", "subscription", "comp", "override"])  # type: ignore[assignment]
    plan = serializers.CharField(source="plan_id", allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When this source ends, if that is known.")


class EntitlementsShape(serializers.Serializer[Any]):
    limits = LimitsShape()
    features = serializers.ListField(child=serializers.CharField())
    limit_details = EntitlementShape(many=True)
    feature_details = EntitlementShape(many=True)


class PortalShape(serializers.Serializer[Any]):
    url = serializers.CharField()
