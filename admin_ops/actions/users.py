"""What staff do to a user's account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Endpoint, StaffAction, Target
from admin_ops.actions.forms import MetadataForm, NoteForm, OptionalReasonForm, ReasonForm, RolesForm
from admin_ops.serializers import users as shapes
from admin_ops.serializers.staff import RolesShape, roles_of_staff
from admin_ops.status_colors import BAD, GOOD, WARN
from saas.accounts.models import Deletion, StaffRole, Totp, User
from saas.accounts.second_factor import SecondFactorNotEnabled
from saas.accounts.sessions.long_lived_credentials import list_long_lived_credentials
from saas.accounts.staff import staff_administration
from saas.accounts.staff.staff_administration import (
    AccountDeleted,
    AccountNotActive,
    CannotBanSelf,
    CannotDeleteStaff,
    CannotResetOwnFactor,
    LastAdmin,
    NotACustomer,
    NotStaff,
    StaffAccount,
)
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.accounts.personal_data import DeletionAcceptedShape, DeletionShape
from saas.api.representation import represent
from saas.billing.personal_data import StillSubscribed
from saas.teams.actions import TeamSubscribed
from saas.teams.personal_data import TeamNeedsOwner

USER = Target(User, StaffPermission.READ_USERS, lambda user_id: User.objects.filter(pk=user_id).first())


def ban(user: User, context: ActionContext, *, reason: str) -> ActionResult:
    banned = staff_administration.ban_user(user, by=context.user, reason=reason)
    return ActionResult(f"{user.email} is banned.", banned)


def unban(user: User, context: ActionContext, *, reason: str) -> ActionResult:
    unbanned = staff_administration.unban_user(user, by=context.user, reason=reason)
    return ActionResult(f"{user.email} is unbanned.", unbanned)


def _is_deletion_pending(user: User) -> bool:
    return user.status == User.Status.DELETED and Deletion.objects.pending().filter(user=user).exists()


def _is_banned_and_not_deleted(user: User) -> bool:
    """A banned account stays ``disabled`` while its deletion waits, so the deletion's row is asked."""
    return user.status == User.Status.DISABLED and not Deletion.objects.filter(user=user).exists()


BAN = StaffAction(
    name="ban",
    target=USER,
    label="Ban",
    icon="block",
    description="Every session, token and cookie is revoked at once, API keys and open invitations for ever, and they cannot "
    "log in until the ban is lifted. Subscriptions go on; so does a deletion that is pending.",
    permission=StaffPermission.BAN_USERS,
    run=ban,
    available_for=lambda user: user.is_active or _is_deletion_pending(user),
    is_destructive=True,
    is_bulk=True,
    audit=(AuditLabel("user.banned", "Banned", BAD),),
    endpoint=Endpoint(
        method="put",
        path="users/<str:user_id>/ban",
        operation_id="staff_user_ban",
        summary="Ban a person",
        description="Sessions, tokens and cookies are revoked in the same transaction. Banning twice has the answer of banning "
        "once.",
        tag="users",
        body=shapes.ReasonBody,
        response=shapes.StandingShape,
        represent=lambda user: {"user": represent(shapes.StaffUserShape, user), "status": "banned"},
        refusals=(StaffAccount, AccountDeleted, CannotBanSelf, LastAdmin),
    ),
)

UNBAN = StaffAction(
    name="unban",
    target=USER,
    label="Lift the ban",
    icon="lock_open",
    description="They can log in again. Earlier sessions stay revoked.",
    permission=StaffPermission.BAN_USERS,
    run=unban,
    form=OptionalReasonForm,
    available_for=lambda user: user.status == User.Status.DISABLED,
    is_bulk=True,
    audit=(AuditLabel("user.unbanned", "Ban lifted", GOOD),),
    endpoint=Endpoint(
        method="put",
        path="users/<str:user_id>/unban",
        operation_id="staff_user_unban",
        summary="Lift a ban",
        description="``status`` says that the ban is lifted. A deletion that was pending is pending again: see ``user.status``.",
        tag="users",
        body=shapes.OptionalReasonBody,
        is_body_optional=True,
        response=shapes.StandingShape,
        represent=lambda user: {"user": represent(shapes.StaffUserShape, user), "status": "active"},
        refusals=(StaffAccount, AccountDeleted),
    ),
)


def delete_account(user: User, context: ActionContext, *, reason: str) -> ActionResult:
    deletion = staff_administration.delete_account(user, by=context.user, reason=reason)
    return ActionResult(
        f"{user.email} is erased on {deletion.due_at:%-d %b %Y}, unless they keep the account.", deletion
    )


DELETE_ACCOUNT = StaffAction(
    name="delete",
    target=USER,
    label="Delete the account",
    icon="delete",
    description="For people who ask for it and cannot log in, or are banned. The person is logged out everywhere and gets a mail "
    "with a link that keeps the account; after 14 days the personal data is erased. First the subscription must be canceled, and "
    "a team with other members handed over.",
    permission=StaffPermission.BAN_USERS,
    run=delete_account,
    form=ReasonForm,
    available_for=lambda user: not user.is_staff and (user.is_active or _is_banned_and_not_deleted(user)),
    is_destructive=True,
    audit=(AuditLabel("user.deletion_begun", "Deletion begun by staff", BAD),),
    endpoint=Endpoint(
        path="users/<str:user_id>/deletion",
        operation_id="staff_user_delete",
        summary="Begin the deletion of an account",
        description="As the person would by themselves, for who cannot log in, or is banned: they are mailed the link that keeps "
        "the account, and 14 days later what we hold about them is erased.",
        tag="users",
        body=shapes.ReasonBody,
        status=202,
        response=DeletionAcceptedShape,
        represent=lambda deletion: {"deletion": represent(DeletionShape, deletion)},
        refusals=(CannotDeleteStaff, AccountDeleted, StillSubscribed, TeamSubscribed, TeamNeedsOwner),
    ),
)


@dataclass(frozen=True)
class RevokedSessions:
    """``credentials``: how many long-lived ones the user had before; ``credentials_revoked``: whether they were revoked, too."""

    sessions_revoked: int
    credentials: int
    credentials_revoked: bool


def revoke_sessions(
    user: User, context: ActionContext, *, reason: str, revoke_credentials: bool = False
) -> ActionResult:
    ended = staff_administration.revoke_sessions(user, by=context.user, reason=reason)
    credentials = len(list_long_lived_credentials(user))
    if revoke_credentials:
        staff_administration.revoke_credentials(user, by=context.user, reason=reason)
    return ActionResult(
        f"{user.email} is logged out everywhere ({ended} session{'' if ended == 1 else 's'}).",
        RevokedSessions(ended, credentials, revoke_credentials),
    )


REVOKE_SESSIONS = StaffAction(
    name="revoke-sessions",
    target=USER,
    label="Log out everywhere",
    icon="logout",
    description="All of their devices and tokens are logged out at once.",
    permission=StaffPermission.END_SESSIONS,
    run=revoke_sessions,
    form=OptionalReasonForm,
    available_for=lambda user: user.is_active,
    audit=(
        AuditLabel("user.sessions_revoked", "Logged out everywhere by staff", WARN),
        AuditLabel("credentials.revoked", "API keys and invitations ended", WARN, "key_off"),
    ),
    endpoint=Endpoint(
        path="users/<str:user_id>/sessions/revoke",
        operation_id="staff_user_sessions_revoke",
        summary="Log a person out everywhere",
        description="Credentials that outlive sessions (API keys, open invitations) are counted, and revoked with "
        "``revoke_credentials``.",
        tag="users",
        body=shapes.SessionsRevokeBody,
        is_body_optional=True,
        response=shapes.SessionsRevokedShape,
        represent=lambda revoked: represent(shapes.SessionsRevokedShape, revoked),
        refusals=(StaffAccount,),
    ),
)


def send_password_reset(user: User, context: ActionContext, *, reason: str) -> ActionResult:
    staff_administration.send_password_reset(user, by=context.user, reason=reason)
    return ActionResult(f"A link is on its way to {user.email}.")


SEND_PASSWORD_RESET = StaffAction(
    name="send-reset",
    target=USER,
    label="Send a password reset",
    icon="forward_to_inbox",
    description="They get a mail with a link that works once. Staff do not see it.",
    permission=StaffPermission.RECOVER_USERS,
    run=send_password_reset,
    form=OptionalReasonForm,
    available_for=lambda user: user.is_active,
    audit=(AuditLabel("password.reset_sent", "Password reset was mailed"),),
    endpoint=Endpoint(
        path="users/<str:user_id>/password-reset",
        operation_id="staff_user_password_reset",
        summary="Mail a person a password reset",
        description="Mails the person a link that staff do not see.",
        tag="users",
        body=shapes.OptionalReasonBody,
        is_body_optional=True,
        status=202,
        refusals=(StaffAccount, AccountNotActive),
    ),
)


def reset_second_factor(user: User, context: ActionContext, *, reason: str) -> ActionResult:
    staff_administration.reset_second_factor(user, by=context.user, reason=reason)
    return ActionResult(f"The second factor of {user.email} is off.")


RESET_SECOND_FACTOR = StaffAction(
    name="reset-mfa",
    target=USER,
    label="Remove the second factor",
    icon="phonelink_erase",
    description="For users who lost the device and the recovery codes. Be sure who is asking. They are logged out everywhere "
    "and notified by mail.",
    permission=StaffPermission.RECOVER_USERS,
    run=reset_second_factor,
    available_for=lambda user: Totp.objects.confirmed(user.id).exists(),
    is_destructive=True,
    audit=(AuditLabel("mfa.reset", "Second factor removed by staff", WARN),),
    endpoint=Endpoint(
        path="users/<str:user_id>/mfa/reset",
        operation_id="staff_user_mfa_reset",
        summary="Remove a lost second factor",
        description="For users who lost their second factor and the recovery codes: they are logged out everywhere and "
        "notified by mail.",
        tag="users",
        body=shapes.OptionalReasonBody,
        is_body_optional=True,
        status=204,
        refusals=(StaffAccount, CannotResetOwnFactor, SecondFactorNotEnabled),
    ),
)


def add_note(user: User, context: ActionContext, *, text: str) -> ActionResult:
    return ActionResult("Noted.", staff_administration.add_note(user, by=context.user, text=text))


ADD_NOTE = StaffAction(
    name="note",
    target=USER,
    label="Add a note",
    icon="sticky_note_2",
    description="For colleagues who open this page later.",
    permission=StaffPermission.NOTE_USERS,
    run=add_note,
    form=NoteForm,
    audit=(AuditLabel("user.noted", "Note"),),
    endpoint=Endpoint(
        path="users/<str:user_id>/notes",
        operation_id="staff_user_note",
        summary="Add a note about a person",
        tag="users",
        body=shapes.NoteBody,
        status=201,
        response=shapes.NewNoteShape,
        represent=lambda note: {"note": represent(shapes.UserNoteShape, note)},
    ),
)


def set_roles(user: User, context: ActionContext, *, roles: Sequence[str], reason: str) -> ActionResult:
    held = staff_administration.set_roles(
        user, by=context.user, roles=[StaffRole(name) for name in roles], reason=reason
    )
    return ActionResult(f"{user.email} has the roles {', '.join(held)} now.", held)


SET_ROLES = StaffAction(
    name="roles",
    target=USER,
    label="Set the roles",
    icon="badge",
    description="They may do what the roles allow from their next request on, and no more.",
    permission=StaffPermission.MANAGE_STAFF,
    run=set_roles,
    form=RolesForm,
    available_for=lambda user: user.is_staff and user.is_active,
    audit=(AuditLabel("staff.roles_changed", "Roles changed", WARN),),
    endpoint=Endpoint(
        method="put",
        path="users/<str:user_id>/roles",
        operation_id="staff_user_roles",
        summary="Set the roles of a member of staff",
        tag="users",
        body=shapes.RolesBody,
        response=RolesShape,
        represent=roles_of_staff,
        refusals=(NotStaff, LastAdmin),
    ),
)


def change_metadata(user: User, context: ActionContext, *, metadata: Mapping[str, str], reason: str) -> ActionResult:
    stored = staff_administration.change_user_metadata(user, by=context.user, changes=metadata, reason=reason)
    return ActionResult(f"The metadata of {user.email} is saved.", stored)


CHANGE_METADATA = StaffAction(
    name="metadata",
    target=USER,
    label="Set metadata",
    icon="data_object",
    description="They can read it. Other keys stay as they are.",
    permission=StaffPermission.NOTE_USERS,
    run=change_metadata,
    form=MetadataForm,
    available_for=lambda user: not user.is_staff and user.status != User.Status.DELETED,
    audit=(AuditLabel("user.metadata_changed", "Metadata changed"),),
    endpoint=Endpoint(
        method="patch",
        path="users/<str:user_id>/metadata",
        operation_id="staff_user_metadata",
        summary="Change a person's metadata",
        description="Merged as Stripe does: an empty value removes its key, other keys stay. The person can read it.",
        tag="users",
        body=shapes.MetadataBody,
        response=shapes.MetadataShape,
        represent=lambda metadata: {"metadata": metadata},
        refusals=(NotACustomer, AccountDeleted),
    ),
)
