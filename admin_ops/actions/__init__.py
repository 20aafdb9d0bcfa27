"""What staff can do, each action once, as data.

An action of this table is made into: its endpoint of the API (``admin_ops.views.actions``), its button and page in Django
admin and, if it ``is_bulk``, its entry in the list's menu (``admin_ops.admin.action_pages``), and the label of its audit event
in a customer's timeline (``admin_ops.entry_labels``). Its row in ``saas/docs/staff.md`` is written by hand; a test compares.

To add one, write the domain's function, then an entry here:

    def rename(team: Team, context: ActionContext, *, name: str) -> ActionResult:
        renamed = teams.rename_by_staff(team, name=name, by=context.user)
        return ActionResult(f"The team is called {renamed.name} now.", renamed)

    RENAME = StaffAction(
        name="rename", target=TEAM, label="Rename", icon="edit",
        description="Its members see the new name at once.",
        permission=StaffPermission.NOTE_USERS, run=rename, form=RenameForm,
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

from admin_ops.actions import (
    billing,
    catalogue,
    impersonations,
    mails,
    plan_changes,
    prices,
    promotions,
    provider,
    teams,
    users,
    webhook_events,
)
from admin_ops.actions.base import StaffAction
from saas.teams.models import Team

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
    users.DELETE_ACCOUNT,
    users.SET_ROLES,
    users.CHANGE_METADATA,
    billing.GIVE_TEAM_PLAN,
    billing.GIVE_TEAM_MORE,
    teams.CHANGE_TEAM_METADATA,
    billing.MAP_PRICE,
    billing.EXTEND_TRIAL,
    provider.REFRESH,
    plan_changes.CHANGE_PLAN,
    promotions.GIVE_DISCOUNT,
    plan_changes.CANCEL,
    plan_changes.RESUME,
    provider.LINK_CUSTOMER,
    provider.CREDIT,
    provider.REFUND,
    provider.REFRESH_INVOICE,
    prices.MOVE_PRICE,
    prices.CALL_OFF_MOVE,
    billing.END_OVERRIDE,
    impersonations.END_IMPERSONATION,
    webhook_events.REPLAY,
    mails.RESEND_MAIL,
    catalogue.EDIT_PLAN,
    catalogue.CHANGE_PRICE,
    catalogue.ARCHIVE_PLAN,
    catalogue.UNARCHIVE_PLAN,
    catalogue.RETIRE_PRICE,
    promotions.CREATE_PROMOTION_CODE,
    promotions.END_PROMOTION_CODE,
)


def enabled_actions() -> list[StaffAction]:
    """All, without those of billing where nothing is sold, and of teams where there are none."""
    return [
        action
        for action in ALL_ACTIONS
        if (settings.BILLING or not action.is_billing) and (settings.TEAMS or action.target.model is not Team)
    ]


def actions_for(model: type[Model]) -> list[StaffAction]:
    """The actions that are offered on a row of ``model``, in the order of its buttons."""
    return [action for action in enabled_actions() if action.target.model is model and not action.creates_a_row]


def creation_of(model: type[Model]) -> StaffAction | None:
    """The action that creates a row of ``model``; ``None`` where staff create none."""
    return next((one for one in enabled_actions() if one.target.model is model and one.creates_a_row), None)
