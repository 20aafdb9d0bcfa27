"""What staff do to a team."""

from collections.abc import Mapping
from dataclasses import replace

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Endpoint, StaffAction, Target
from admin_ops.actions.users import CHANGE_METADATA
from admin_ops.serializers import users as shapes
from saas.accounts.staff.staff_roles import StaffPermission
from saas.teams import actions
from saas.teams.models import Team

TEAM = Target(Team, StaffPermission.READ_USERS, lambda team_id: Team.objects.live().filter(pk=team_id).first())


def change_metadata(team: Team, context: ActionContext, *, metadata: Mapping[str, str], reason: str) -> ActionResult:
    stored = actions.change_team_metadata(team, by=context.user, changes=metadata, reason=reason)
    return ActionResult(f"The metadata of {team.name} is saved.", stored)


CHANGE_TEAM_METADATA: StaffAction = replace(
    CHANGE_METADATA,
    target=TEAM,
    description="The team's members can read it. Other keys stay as they are.",
    run=change_metadata,
    available_for=lambda team: team.deleted_at is None,
    audit=(AuditLabel("team.metadata_changed", "Metadata of a team changed"),),
    endpoint=Endpoint(
        method="patch",
        path="teams/<str:team_id>/metadata",
        operation_id="staff_team_metadata_change",
        summary="Change a team's metadata",
        description="Merged as Stripe does: an empty value removes its key, other keys stay. The team's members can read it.",
        tag="users",
        body=shapes.MetadataBody,
        response=shapes.MetadataShape,
        represent=lambda metadata: {"metadata": metadata},
    ),
)
