"""What staff can do, each action once, as data.

An action of this table is made into: its endpoint of the API (``admin_ops.views.actions``), its button and page in Django
admin and, if it ``is_bulk``, its entry in the list's menu (``admin_ops.admin.action_pages``), the label of its audit event
in a customer's timeline (``admin_ops.entry_labels``), and its row in ``saas/docs/staff.md`` (held equal by a test).

To add one, write the domain's function, then an entry here:

    def rename(team: Team, context: ActionContext, *, name: str) -> Outcome:
        renamed = teams.rename_by_staff(team, name=name, by=context.user)
        return Outcome(f"The team is called {renamed.name} now.", renamed)

    RENAME = StaffAction(
        name="rename", target=TEAM, label="Rename", icon="edit",
        description="Its members see the new name at once.",
        permission=Permission.NOTE_USERS, run=rename, form=RenameForm,
        audit=(AuditLabel("team.renamed", "Renamed"),),
        endpoint=Endpoint(
            method="post", path="teams/<str:team_id>/rename",
            operation_id="staff_team_rename", summary="Rename a team", tag="teams", body=RenameBody,
            represent=lambda team: {"name": team.name}, response=RenamedShape,
        ),
    )
"""

from collections.abc import Sequence

from django.conf import settings
from django.db.models import Model

from admin_ops.actions import billing, impersonations, users, webhook_events
from admin_ops.actions.base import StaffAction

# In the order of the buttons on a row's page.
ALL_ACTIONS: Sequence[StaffAction] = (
    impersonations.IMPERSONATE,
    users.ADD_NOTE,
    billing.EXTEND_TRIAL_OF_USER,
    billing.GIVE_USER_PLAN,
    billing.GIVE_USER_MORE,
    users.SEND_PASSWORD_RESET,
    users.REVOKE_SESSIONS,
    users.RESET_SECOND_FACTOR,
    users.BAN,
    users.UNBAN,
    billing.GIVE_TEAM_PLAN,
    billing.GIVE_TEAM_MORE,
    billing.MAP_PRICE,
    billing.EXTEND_TRIAL,
    billing.END_OVERRIDE,
    impersonations.END_IMPERSONATION,
    webhook_events.REPLAY,
)


def enabled_actions() -> list[StaffAction]:
    """All, without those of billing where nothing is sold."""
    return [action for action in ALL_ACTIONS if settings.BILLING or not action.is_billing]


def actions_for(model: type[Model]) -> list[StaffAction]:
    return [action for action in enabled_actions() if action.target.model is model]
