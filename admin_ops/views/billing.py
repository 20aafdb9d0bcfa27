"""Subscriptions, and what teams were given."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.serializers import access
from admin_ops.serializers import billing as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts.staff.staff_roles import Permission
from saas.api.pagination import PageQuery, paginate
from saas.billing.models import EntitlementOverride, Subscription
from saas.errors import NotFound
from saas.teams.models import Team


class SubscriptionsView(AdminApiView):
    needs = Permission.READ_BILLING

    @extend_schema(
        operation_id="staff_subscriptions",
        summary="List the subscriptions",
        parameters=[shapes.SubscriptionsQuery],
        responses=shapes.SubscriptionsShape,
        tags=["billing"],
    )
    def get(self, request: Request) -> Response:
        query = self.query(shapes.SubscriptionsQuery)
        rows = Subscription.objects.with_customer().matching(status=query["status"], plan=query["plan"])
        page = paginate(rows, cursor=query["cursor"], limit=query["limit"])
        return Response({"subscriptions": [shapes.represent_subscription(row) for row in page.items], **page.meta})


class TeamOverridesView(AdminApiView):
    needs = Permission.READ_BILLING

    @extend_schema(
        operation_id="staff_team_overrides",
        summary="List what was given to a team, ended ones too",
        description="The same for one team: its owner and their other teams get nothing of it.",
        parameters=[PageQuery],
        responses=access.OverridesShape,
        tags=["access"],
    )
    def get(self, request: Request, team_id: str) -> Response:
        query = self.query(PageQuery)
        team = Team.objects.live().filter(pk=team_id).first()
        if team is None:
            raise NotFound
        page = paginate(EntitlementOverride.objects.for_owner(team), cursor=query["cursor"], limit=query["limit"])
        return Response({"overrides": [access.represent_override(row) for row in page.items], **page.meta})
