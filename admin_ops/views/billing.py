"""Subscriptions, and what teams were given."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.actions.catalogue import PRICE
from admin_ops.serializers import access, prices
from admin_ops.serializers import billing as shapes
from admin_ops.views.base import AdminApiView
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.pagination import PageQuery, paginate
from saas.billing.catalogue import price_moves
from saas.billing.models import EntitlementOverride, Subscription
from saas.errors import NotFound
from saas.teams.models import Team


class SubscriptionsView(AdminApiView):
    needs = StaffPermission.READ_BILLING
    reads_may_be_old = True

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


class PriceMovePreviewView(AdminApiView):
    """Who pays an earlier price: what, since when, and what they would pay. Changes nothing."""

    needs = StaffPermission.READ_BILLING
    reads_may_be_old = True

    @extend_schema(
        operation_id="staff_price_move_preview",
        summary="Who would be moved to the present price",
        responses=prices.PriceMovePreviewShape,
        tags=["billing"],
    )
    def get(self, request: Request, price_id: str) -> Response:
        old = PRICE.find(price_id)
        if old is None:
            raise NotFound
        new = price_moves.current_version(old)
        payers = price_moves.preview_price_move(old, new)
        return Response({"to_price_id": new.pk, "payers": [prices.represent_payer(payer) for payer in payers]})


class TeamOverridesView(AdminApiView):
    needs = StaffPermission.READ_BILLING

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
