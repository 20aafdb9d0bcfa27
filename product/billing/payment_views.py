"""Payment methods, billing details, invoices, entitlements, and the provider's page."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from product.billing import serializers as shapes
from product.billing.bases import BillingView, KeyedBillingView
from saas.api import rate_limits
from saas.api.openapi.schema_generation import OptionalBody, problem_responses
from saas.api.pagination import paginate
from saas.api.representation import represent, represent_all
from saas.billing import entitlements, payment_methods
from saas.billing.invoices import billed_to
from saas.billing.invoices.details import find_link
from saas.billing.invoices.tax_ids import BadTaxId
from saas.billing.models import Invoice, PaymentMethod
from saas.billing.providers.interface import PaymentDeclined, ProviderPageRequired, ProviderRefused, ProviderUnavailable
from saas.errors import Forbidden, Invalid, NotFound
from saas.teams.roles import Permission


class AddPaymentMethodView(BillingView):
    limits = (rate_limits.CHECKOUT,)

    @extend_schema(
        operation_id="payment_method_add",
        summary="Add a payment method",
        request=shapes.PaymentMethodBody,
        responses={
            201: shapes.OnePaymentMethodShape,
            **problem_responses(NotFound, PaymentDeclined, ProviderRefused, ProviderPageRequired, ProviderUnavailable),
        },
        tags=["billing"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(shapes.PaymentMethodBody)
        owner = self.owner(body.pop("team_id"))
        row = payment_methods.add_payment_method(self.user, owner=owner, **body)
        return Response({"payment_method": represent(shapes.PaymentMethodShape, row)}, status=201)


class PaymentMethodsView(BillingView):
    @extend_schema(
        operation_id="payment_methods",
        summary="List the payment methods",
        parameters=[shapes.OwnedPageQuery],
        responses={200: shapes.PaymentMethodsShape, **problem_responses(NotFound, Forbidden)},
        tags=["billing"],
    )
    def get(self, request: Request) -> Response:
        query = self.query(shapes.OwnedPageQuery)
        page = paginate(PaymentMethod.objects.for_owner(self.owner(query.pop("team_id"))).usable(), **query)
        return Response({"payment_methods": represent_all(shapes.PaymentMethodShape, page.items), **page.meta})


class PaymentMethodView(BillingView):
    @extend_schema(
        operation_id="payment_method_remove",
        summary="Remove a payment method",
        parameters=[shapes.OwnerBody],
        responses={204: None, **problem_responses(ProviderRefused, ProviderUnavailable)},
        tags=["billing"],
    )
    def delete(self, request: Request, payment_method_id: str) -> Response:
        owner = self.owner(self.query(shapes.OwnerBody)["team_id"])
        row = PaymentMethod.objects.for_owner(owner).usable().filter(pk=payment_method_id).first()
        if row is None:
            raise NotFound
        payment_methods.remove_payment_method(row, by=self.user)
        return Response(status=204)


class BillingDetailsView(BillingView):
    @extend_schema(
        operation_id="billing_details",
        summary="Get the company name, billing address and tax id",
        parameters=[shapes.OwnerBody],
        responses={200: shapes.OneBillingDetailsShape, **problem_responses(NotFound, Forbidden)},
        tags=["billing"],
    )
    def get(self, request: Request) -> Response:
        row = billed_to.find_billing_details(self.owner(self.query(shapes.OwnerBody)["team_id"]))
        return Response({"billing_details": shapes.represent_billing_details(row)})

    @extend_schema(
        operation_id="billing_details_save",
        summary="Replace the company name, billing address and tax id",
        request=shapes.BillingDetailsBody,
        responses={200: shapes.OneBillingDetailsShape, **problem_responses(NotFound, Forbidden, Invalid, BadTaxId)},
        tags=["billing"],
    )
    def put(self, request: Request) -> Response:
        body = self.body(shapes.BillingDetailsBody)
        owner = self.owner(body.pop("team_id"))
        row = billed_to.save_billing_details(owner, by=self.user, **body)
        return Response({"billing_details": shapes.represent_billing_details(row)})


class InvoicesView(BillingView):
    @extend_schema(
        operation_id="invoices",
        summary="List the invoices",
        parameters=[shapes.OwnedPageQuery],
        responses={200: shapes.InvoicesShape, **problem_responses(NotFound, Forbidden)},
        tags=["billing"],
    )
    def get(self, request: Request) -> Response:
        query = self.query(shapes.OwnedPageQuery)
        page = paginate(Invoice.objects.for_owner(self.owner(query.pop("team_id"))).issued(), **query)
        invoices = [represent(shapes.InvoiceShape, row, url=row.hosted_url or None) for row in page.items]
        return Response({"invoices": invoices, **page.meta})


class InvoiceView(BillingView):
    @extend_schema(
        operation_id="invoice",
        summary="Get an invoice, with a new link",
        parameters=[shapes.OwnerBody],
        responses={200: shapes.OneInvoiceShape, **problem_responses(NotFound, Forbidden)},
        tags=["billing"],
    )
    def get(self, request: Request, invoice_id: str) -> Response:
        owner = self.owner(self.query(shapes.OwnerBody)["team_id"])
        row = Invoice.objects.for_owner(owner).issued().filter(pk=invoice_id).first()
        if row is None:
            raise NotFound
        url = find_link(row, is_impersonated=bool(self.impersonation))
        return Response({"invoice": represent(shapes.InvoiceShape, row, url=url or None)})


class EntitlementsView(KeyedBillingView):
    @extend_schema(
        operation_id="entitlements",
        summary="What the plan allows",
        parameters=[shapes.OwnerBody],
        responses={200: shapes.EntitlementsShape, **problem_responses(NotFound)},
        tags=["billing"],
    )
    def get(self, request: Request) -> Response:
        owner = self.owner(self.query(shapes.OwnerBody)["team_id"], Permission.VIEW_TEAM)
        return Response(represent(shapes.EntitlementsShape, entitlements.get_entitlements(owner)))


class PortalView(BillingView):
    @extend_schema(
        operation_id="billing_portal",
        summary="Open the provider's billing portal",
        request=OptionalBody(shapes.PortalBody),
        responses={
            201: shapes.PortalShape,
            **problem_responses(NotFound, Invalid, ProviderRefused, ProviderUnavailable),
        },
        tags=["billing"],
    )
    def post(self, request: Request) -> Response:
        owner = self.owner(self.optional_body(shapes.PortalBody)["team_id"])
        return Response({"url": payment_methods.portal_url(self.user, owner=owner)}, status=201)
