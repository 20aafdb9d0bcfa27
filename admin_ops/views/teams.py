"""What staff read about a team."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from admin_ops.actions.teams import TEAM
from admin_ops.serializers.users import MetadataShape
from admin_ops.views.base import AdminApiView
from saas.errors import NotFound


class TeamMetadataView(AdminApiView):
    needs = TEAM.view_permission

    @extend_schema(
        operation_id="staff_team_metadata", summary="Get a team's metadata", responses=MetadataShape, tags=["users"]
    )
    def get(self, request: Request, team_id: str) -> Response:
        if (team := TEAM.find(team_id)) is None:
            raise NotFound
        return Response({"metadata": team.metadata})
