"""Plans, checkouts and subscriptions."""

import re

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from product.billing import serializers as shapes
from product.billing.bases import BillingView, KeyedBillingView, idempotency_key
from saas.api import rate_limits
from saas.api.openapi.schema_generation import problem_responses
from saas.api.representation import represent
from saas.api.views import PublicView
from saas.billing import checkouts, clock, providers, scheduled_changes, subscriptions
from saas.billing.catalogue.offers import NotForSale
from saas.billing.checkouts import AlreadySubscribed, CheckoutInProgress, IdempotencyKeyReused
from saas.billing.models import Checkout, Plan, Subscription
from saas.billing.models.catalogue import listed_prices, price_list
from saas.billing.providers.interface import PaymentDeclined, ProviderRefused, ProviderUnavailable
from saas.billing.scheduled_changes import NoPeriodEnd, NothingPending
from saas.billing.subscriptions import NothingToResume, NotSubscribed, PlanItemUnknown, PreviewOutdated, SamePlan
from saas.errors import NotFound
from saas.teams.plan_limits import seats_needed
from saas.teams.roles import Permission

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key again brings the same answer."
)


class PlansView(PublicView):
    @extend_schema(operation_id="plans", summary="List the plans", responses=shapes.PlansShape, tags=["subscriptions"])
    def get(self, request: Request) -> Response:
        plans = {plan.pk: plan for plan in price_list()}
        prices = listed_prices(providers.current_provider())
        return Response(
            {
                "plans": [shapes.represent_plan(plan) for plan in plans.values() if plan.price_cents is not None],
                "prices": [
                    shapes.represent_price(price, plans[price.plan_id]) for price in prices if price.plan_id in plans
                ],
            }
        )


class StartCheckoutView(BillingView):
    limits = (rate_limits.CHECKOUT,)

    @extend_schema(
        operation_id="checkout_start",
        summary="Start a checkout",
        parameters=[IDEMPOTENCY_KEY],
        request=shapes.CheckoutBody,
        responses={
            201: shapes.OneCheckoutShape,
            **problem_responses(
                NotFound,
                AlreadySubscribed,
                CheckoutInProgress,
                IdempotencyKeyReused,
                PaymentDeclined,
                ProviderRefused,
                NotForSale,
                ProviderUnavailable,
            ),
        },
        tags=["subscriptions"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(shapes.CheckoutBody)
        owner = self.owner(body.pop("team_id"))
        row = checkouts.start_checkout(
            self.user,
            owner=owner,
            idempotency_key=_idempotency_key(request),
            seats=seats_needed(owner),
            **body,
        )
        return _checkout_answer(row, status=201)


def _checkout_answer(row: Checkout, status: int = 200) -> Response:
    return Response(
        {
            "checkout": represent(
                shapes.CheckoutShape, row, plan=shapes.represent_plan(row.plan), checkout_url=row.url or None
            )
        },
        status=status,
    )


def _idempotency_key(request: Request) -> str:
    key = idempotency_key(request)
    if key and not _KEY.fullmatch(key):
        raise ValidationError({"Idempotency-Key": ["Give 1 to 255 printable ASCII characters without spaces."]})
    return key


class CheckoutView(BillingView):
    @extend_schema(
        operation_id="checkout",
        summary="How a checkout stands",
        responses={200: shapes.OneCheckoutShape, **problem_responses(ProviderUnavailable)},
        tags=["subscriptions"],
    )
    def get(self, request: Request, checkout_id: str) -> Response:
        row = Checkout.objects.started_by(self.user).filter(pk=checkout_id).first()
        if row is None:
            raise NotFound
        if not self.impersonation:  # whose requests are transactions: the provider is not asked inside one
            row = checkouts.reconcile_checkout(row)
        return _checkout_answer(row)


class CurrentView(KeyedBillingView):
    @extend_schema(
        operation_id="subscription_current",
        summary="Get the current subscription",
        parameters=[shapes.OwnerBody],
        responses={200: shapes.CurrentShape, **problem_responses(NotFound)},
        tags=["subscriptions"],
    )
    def get(self, request: Request) -> Response:
        owner = self.owner(self.query(shapes.OwnerBody)["team_id"], Permission.VIEW_TEAM)
        return _subscription_answer(subscriptions.current_subscription(owner))


def _subscription_answer(row: Subscription | None) -> Response:
    if row is None:
        return Response({"subscription": None})
    plan = row.plan and shapes.represent_plan(row.plan)
    change = getattr(row, "pending_change", None)
    shown = represent(
        shapes.SubscriptionShape,
        row,
        plan=plan,
        has_access=row.grants_access(clock.now()),
        pending_change=change and represent(shapes.PendingChangeShape, change),
    )
    return Response({"subscription": shown})


class ChangeView(BillingView):
    @extend_schema(
        operation_id="subscription_change",
        summary="Change the plan",
        request=shapes.ChangeBody,
        responses={
            200: shapes.OneSubscriptionShape,
            **problem_responses(
                NotFound,
                NotSubscribed,
                SamePlan,
                NoPeriodEnd,
                PlanItemUnknown,
                PreviewOutdated,
                PaymentDeclined,
                NotForSale,
                ProviderRefused,
                ProviderUnavailable,
            ),
        },
        tags=["subscriptions"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(shapes.ChangeBody)
        owner = self.owner(body.pop("team_id"))
        if body.pop("when") == "now":
            return _subscription_answer(
                subscriptions.change_plan(owner, by=self.user, seats=seats_needed(owner), **body)
            )
        del body["prorated_at"]  # nothing is prorated at a period's end
        row = scheduled_changes.schedule_change(owner, by=self.user, seats=seats_needed(owner), **body)
        return _subscription_answer(row)


class CallOffChangeView(BillingView):
    @extend_schema(
        operation_id="subscription_change_cancel",
        summary="Call off what was planned for the period's end",
        parameters=[shapes.OwnerBody],
        request=None,
        responses={200: shapes.OneSubscriptionShape, **problem_responses(NotFound, NothingPending)},
        tags=["subscriptions"],
    )
    def post(self, request: Request) -> Response:
        owner = self.owner(self.query(shapes.OwnerBody)["team_id"])
        return _subscription_answer(scheduled_changes.call_off_change(owner, by=self.user))


class PreviewView(BillingView):
    @extend_schema(
        operation_id="subscription_change_preview",
        summary="Preview a change of plan",
        request=shapes.PreviewBody,
        responses={
            200: shapes.OnePreviewShape,
            **problem_responses(
                NotFound, NotSubscribed, SamePlan, PlanItemUnknown, NotForSale, ProviderRefused, ProviderUnavailable
            ),
        },
        tags=["subscriptions"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(shapes.PreviewBody)
        owner = self.owner(body.pop("team_id"))
        result = subscriptions.preview_change(owner, seats=seats_needed(owner), **body)
        plan = shapes.represent_plan(Plan.objects.get(pk=body["plan_id"]))
        return Response({"preview": represent(shapes.PlanChangePreviewShape, result, plan=plan)})


class CancelView(BillingView):
    @extend_schema(
        operation_id="subscription_cancel",
        summary="Cancel the subscription",
        request=shapes.CancelBody,
        responses={
            200: shapes.OneSubscriptionShape,
            **problem_responses(NotFound, NotSubscribed, ProviderRefused, ProviderUnavailable),
        },
        tags=["subscriptions"],
    )
    def post(self, request: Request) -> Response:
        body = self.body(shapes.CancelBody)
        owner = self.owner(body["team_id"])
        row = subscriptions.cancel_subscription(
            owner, at_period_end=body["at_period_end"], reason=body["reason"], by=self.user
        )
        return _subscription_answer(row)


class ResumeView(BillingView):
    @extend_schema(
        operation_id="subscription_resume",
        summary="Take a cancellation back",
        parameters=[shapes.OwnerBody],
        request=None,
        responses={
            200: shapes.OneSubscriptionShape,
            **problem_responses(NotFound, NotSubscribed, NothingToResume, ProviderRefused, ProviderUnavailable),
        },
        tags=["subscriptions"],
    )
    def post(self, request: Request) -> Response:
        owner = self.owner(self.query(shapes.OwnerBody)["team_id"])
        return _subscription_answer(subscriptions.resume_subscription(owner, by=self.user))
