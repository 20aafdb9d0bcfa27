"""What staff do where the payment provider and we differ: whose a customer is, and what is so there."""

from dataclasses import replace
from typing import Any

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Effect, Endpoint, StaffAction, Target
from admin_ops.actions.billing import SUBSCRIPTION
from admin_ops.actions.forms import CreditForm, LinkCustomerForm, OptionalReasonForm, RefundForm
from admin_ops.serializers import access as shapes
from admin_ops.serializers.billing import OneSubscriptionShape, represent_one_subscription
from admin_ops.serializers.users import OptionalReasonBody
from admin_ops.status_colors import GOOD, WARN
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.representation import represent
from saas.billing.invoices import refunds
from saas.billing.invoices.refunds import NothingToRefund, PaymentDisputed
from saas.billing.linking.customers import CustomerIsLinked, OwnerPaysAlready, link_customer_by_staff
from saas.billing.linking.evidence import owner_by_id, user_by_verified_email
from saas.billing.models import Customer, Invoice, Subscription
from saas.billing.sync.refresh import refresh_invoice_by_staff, refresh_subscription_by_staff
from saas.errors import Invalid
from saas.money import Money

INVOICE = Target(
    Invoice,
    StaffPermission.READ_BILLING,
    lambda row_id: Invoice.objects.select_related("customer").filter(pk=row_id).first(),
)
CUSTOMER = Target(
    Customer,
    StaffPermission.READ_BILLING,
    lambda row_id: Customer.objects.select_related("user", "team").filter(pk=row_id).first(),
)


def link_customer(row: Customer, context: ActionContext, *, account: str, reason: str) -> ActionResult:
    """``account`` is the id of a user or team, or an address that a user has confirmed."""
    owner = owner_by_id(account) or user_by_verified_email(account)
    if owner is None:
        raise Invalid(errors={"account": ["Name a user or a team by the id, or a user by a confirmed address."]})
    linked = link_customer_by_staff(row, owner=owner, reason=reason, by=context.user)
    return ActionResult(f"{row.external_id} belongs to {owner} now, with all that it pays for.", linked)


def represent_linked(row: Customer) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in ("id", "external_id", "user_id", "team_id")}
    return {"customer": fields}


LINK_CUSTOMER = StaffAction(
    name="link-customer",
    target=CUSTOMER,
    label="Say whose it is",
    icon="link",
    description="The account gets all that the customer pays for at the provider. Where nothing says whose it is.",
    permission=StaffPermission.GIVE_ACCESS,
    run=link_customer,
    form=LinkCustomerForm,
    available_for=lambda row: not row.is_linked,
    is_billing=True,
    audit=(AuditLabel("customer.linked", "Linked to a paying customer", GOOD),),
    endpoint=Endpoint(
        path="customers/<str:customer_id>/link",
        operation_id="staff_customer_link",
        summary="Say whose a paying customer is",
        description="For customers who paid by a Payment Link or by hand at the provider, and have nothing here.",
        tag="access",
        body=shapes.LinkedCustomerBody,
        response=shapes.LinkedCustomerShape,
        represent=represent_linked,
        refusals=(CustomerIsLinked, OwnerPaysAlready),
    ),
)


def refresh(row: Subscription, context: ActionContext, *, reason: str = "") -> ActionResult:
    refreshed = refresh_subscription_by_staff(row, reason=reason, by=context.user)
    return ActionResult("The provider has been asked; this is what it says.", refreshed)


REFRESH = StaffAction(
    name="refresh",
    target=SUBSCRIPTION,
    label="Ask the provider",
    icon="sync",
    description="What the provider says of the subscription and its invoices now is stored like an event of its own.",
    permission=StaffPermission.GIVE_ACCESS,
    run=refresh,
    form=OptionalReasonForm,
    is_billing=True,
    audit=(AuditLabel("subscription.refreshed", "Provider asked", GOOD),),
    endpoint=Endpoint(
        path="subscriptions/<str:subscription_id>/refresh",
        operation_id="staff_subscription_refresh",
        summary="Ask the provider what is so",
        tag="access",
        body=OptionalReasonBody,
        is_body_optional=True,
        response=OneSubscriptionShape,
        represent=represent_one_subscription,
    ),
)


def refresh_invoice(row: Invoice, context: ActionContext, *, reason: str = "") -> ActionResult:
    refreshed = refresh_invoice_by_staff(row, reason=reason, by=context.user)
    return ActionResult("The provider has been asked; this is what it says.", refreshed)


REFRESH_INVOICE = replace(
    REFRESH,
    target=INVOICE,
    description="What the provider says of the invoice and its subscription now is stored like an event of its own.",
    run=refresh_invoice,
    audit=(AuditLabel("invoice.refreshed", "Provider asked about an invoice", GOOD),),
    endpoint=Endpoint(
        path="invoices/<str:invoice_id>/refresh",
        operation_id="staff_invoice_refresh",
        summary="Ask the provider about an invoice and its subscription",
        tag="billing",
        body=OptionalReasonBody,
        is_body_optional=True,
        response=shapes.RefundedInvoiceShape,
        represent=lambda row: {"invoice": represent(shapes.NetInvoiceShape, row)},
    ),
)


def refund(row: Invoice, context: ActionContext, *, reason: str, amount_cents: int | None = None) -> ActionResult:
    amount = Money(row.net_paid.minor if amount_cents is None else amount_cents, row.currency)
    refunded = refunds.refund_invoice(row, amount_cents=amount_cents, reason=reason, by=context.user)
    return ActionResult(f"{amount} are on their way back.", refunded)


def _effect_of_refunding(row: Invoice, *, amount_cents: int | None = None) -> Effect:
    amount = row.net_paid.minor if amount_cents is None else amount_cents
    if amount > row.net_paid.minor:
        raise Invalid(errors={"amount": [f"Choose an amount of at most {row.net_paid}."]})
    left = Money(row.net_paid.minor - amount, row.currency)
    return Effect(
        (
            f"{Money(amount, row.currency)} of invoice {row} go back the way they were paid.",
            f"{left} of {row.amount_paid} stay paid. Access stays as it is.",
        )
    )


REFUND = StaffAction(
    name="refund",
    target=INVOICE,
    label="Refund",
    icon="currency_exchange",
    description="The way it was paid, in whole or in part. Access stays as it is.",
    permission=StaffPermission.REFUND,
    run=refund,
    form=RefundForm,
    effect=_effect_of_refunding,
    unavailable=NothingToRefund.title,
    available_for=lambda row: row.status == Invoice.Status.PAID and row.net_paid.minor > 0,
    is_destructive=True,
    is_billing=True,
    audit=(AuditLabel("invoice.refunded", "Refunded", WARN),),
    endpoint=Endpoint(
        path="invoices/<str:invoice_id>/refund",
        operation_id="staff_invoice_refund",
        summary="Refund an invoice, in whole or in part",
        tag="billing",
        body=shapes.RefundBody,
        response=shapes.RefundedInvoiceShape,
        represent=lambda row: {"invoice": represent(shapes.NetInvoiceShape, row)},
        refusals=(NothingToRefund, PaymentDisputed),
    ),
)


def credit(row: Customer, context: ActionContext, *, amount_cents: int, currency: str, reason: str) -> ActionResult:
    if not refunds.credit_customer(row, amount_cents=amount_cents, currency=currency, reason=reason, by=context.user):
        return ActionResult("Nothing was added: the same credit was given less than a quarter of an hour ago.", row)
    return ActionResult(f"The next invoices cost {Money(amount_cents, currency)} less.", row)


def _effect_of_crediting(row: Customer, *, amount_cents: int, currency: str) -> Effect:
    credit = Money(amount_cents, currency)
    return Effect(
        (f"The next invoices of {row} cost {credit} less, until the credit is used up.", "Nothing is paid out.")
    )


CREDIT = StaffAction(
    name="credit",
    target=CUSTOMER,
    label="Give a credit",
    icon="savings",
    description="It pays the next invoices, as far as it goes.",
    permission=StaffPermission.REFUND,
    run=credit,
    form=CreditForm,
    effect=_effect_of_crediting,
    available_for=lambda row: bool(row.external_id) and row.deleted_at is None,
    is_billing=True,
    audit=(AuditLabel("customer.credited", "Was given a credit", GOOD),),
    endpoint=Endpoint(
        path="customers/<str:customer_id>/credit",
        operation_id="staff_customer_credit",
        summary="Give a credit for the next invoices",
        tag="billing",
        body=shapes.CreditBody,
        response=shapes.LinkedCustomerShape,
        represent=represent_linked,
    ),
)
