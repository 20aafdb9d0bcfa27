"""Giving access beside what was bought, and time to a trial. The mirrored rows are the provider's, and stay so."""

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops import representations as show
from admin_ops.serializers import access as shapes
from admin_ops.serializers.billing import OneSubscriptionShape
from admin_ops.serializers.users import ReasonBody
from admin_ops.views.base import AdminApiView, UserApiView
from saas.accounts.models import User
from saas.accounts.staff.staff_roles import Permission
from saas.api.openapi.schema_generation import problem_responses
from saas.api.pagination import PageQuery, paginate
from saas.billing import overrides, plan_mapping, trials
from saas.billing.models import EntitlementOverride, Owner, Subscription
from saas.billing.overrides import OverrideEnded
from saas.billing.plan_mapping import PlanIsKnown
from saas.billing.trials import NotOnTrial
from saas.errors import NotFound
from saas.teams.models import Team


class OverridesView(UserApiView):
    """A whole plan (a comp), one limit, or one feature: it only adds, and it ends by itself."""

    @extend_schema(
        operation_id="staff_override_give",
        summary="Give a plan, a limit or a feature",
        request=shapes.OverrideBody,
        responses={201: shapes.NewOverrideShape},
        tags=["access"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        person = self.person(user_id)
        self.require(Permission.GIVE_ACCESS)
        given = _give(person, by=self.user, **self.body(shapes.OverrideBody))
        return Response({"override": show.override(given)}, status=201)


class TeamOverridesView(AdminApiView):
    """The same for a team alone: its owner and her other teams have nothing of it."""

    needs = Permission.READ_BILLING

    @extend_schema(
        operation_id="staff_team_overrides",
        summary="List what was given to a team, ended ones too",
        parameters=[PageQuery],
        responses=shapes.OverridesShape,
        tags=["access"],
    )
    def get(self, request: Request, team_id: str) -> Response:
        query = self.query(PageQuery)
        page = paginate(
            EntitlementOverride.objects.for_owner(_team(team_id)), cursor=query["cursor"], limit=query["limit"]
        )
        return Response({"overrides": [show.override(row) for row in page.items], **page.meta})

    @extend_schema(
        operation_id="staff_team_override_give",
        summary="Give a team a plan, a limit or a feature",
        request=shapes.OverrideBody,
        responses={201: shapes.NewOverrideShape},
        tags=["access"],
    )
    def post(self, request: Request, team_id: str) -> Response:
        team = _team(team_id)
        self.require(Permission.GIVE_ACCESS)
        given = _give(team, by=self.user, **self.body(shapes.OverrideBody))
        return Response({"override": show.override(given)}, status=201)


def _team(team_id: str) -> Team:
    if team := Team.objects.live().filter(pk=team_id).first():
        return team
    raise NotFound


def _give(
    owner: Owner, *, kind: str, key: str, value: int | None, expires_at: datetime, reason: str, by: User
) -> EntitlementOverride:
    why: dict[str, Any] = {"expires_at": expires_at, "reason": reason, "by": by}
    if kind == EntitlementOverride.Kind.PLAN:
        return overrides.comp_plan(owner, plan_id=key, **why)
    if kind == EntitlementOverride.Kind.LIMIT:
        return overrides.override_limit(owner, key=key, value=value, **why)
    return overrides.grant_feature(owner, feature=key, **why)


class EndOverrideView(AdminApiView):
    needs = Permission.READ_BILLING

    @extend_schema(
        operation_id="staff_override_end",
        summary="Take it back before its time",
        request=ReasonBody,
        responses={200: shapes.NewOverrideShape, **problem_responses(OverrideEnded)},
        tags=["access"],
    )
    def post(self, request: Request, override_id: str) -> Response:
        if not EntitlementOverride.objects.filter(pk=override_id).exists():
            raise NotFound
        self.require(Permission.GIVE_ACCESS)
        ended = overrides.end_override(override_id, reason=self.body(ReasonBody)["reason"], by=self.user)
        return Response({"override": show.override(ended)})


class TrialView(AdminApiView):
    """The payment provider is asked for it, so it may refuse; nothing is charged before the new end."""

    needs = Permission.READ_BILLING

    @extend_schema(
        operation_id="staff_trial_extend",
        summary="Extend a trial",
        request=shapes.TrialBody,
        responses={200: OneSubscriptionShape, **problem_responses(NotOnTrial)},
        tags=["access"],
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        row = _subscription(subscription_id)
        self.require(Permission.GIVE_ACCESS)
        row = trials.extend_trial(row, by=self.user, **self.body(shapes.TrialBody))
        return Response({"subscription": show.subscription(row)})


class PlanView(AdminApiView):
    """Where neither price nor product tells it. At the provider nothing changes."""

    needs = Permission.READ_BILLING

    @extend_schema(
        operation_id="staff_subscription_plan",
        summary="Say which plan a subscription's price stands for",
        request=shapes.PlanBody,
        responses={200: OneSubscriptionShape, **problem_responses(PlanIsKnown)},
        tags=["access"],
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        row = _subscription(subscription_id)
        self.require(Permission.GIVE_ACCESS)
        row = plan_mapping.map_price(row, by=self.user, **self.body(shapes.PlanBody))
        return Response({"subscription": show.subscription(row)})


def _subscription(subscription_id: str) -> Subscription:
    if row := Subscription.objects.with_customer().filter(pk=subscription_id).first():
        return row
    raise NotFound
