"""What staff do for or against a person."""

from django.urls import reverse
from rest_framework.request import Request

from admin_ops.admin.action_forms import ImpersonateForm, NoteForm, OptionalReasonForm
from admin_ops.admin.action_pages import ActionContext, StaffAction
from saas.accounts.models import Deletion, Impersonation, Totp, User
from saas.accounts.staff import impersonations, staff_administration
from saas.accounts.staff.staff_roles import Permission
from saas.api import rate_limits
from saas.errors import DomainError


def _ban(person: User, context: ActionContext) -> str:
    staff_administration.ban_user(person, by=context.user, reason=context.reason)
    return f"{person.email} is banned."


def _unban(person: User, context: ActionContext) -> str:
    staff_administration.unban_user(person, by=context.user, reason=context.reason)
    return f"{person.email} is unbanned."


def _revoke(person: User, context: ActionContext) -> str:
    ended = staff_administration.revoke_sessions(person, by=context.user, reason=context.reason)
    return f"{person.email} is logged out everywhere ({ended} session{'' if ended == 1 else 's'})."


def _send_reset(person: User, context: ActionContext) -> str:
    staff_administration.send_password_reset(person, by=context.user, reason=context.reason)
    return f"A link is on its way to {person.email}."


def _reset_factor(person: User, context: ActionContext) -> str:
    staff_administration.reset_second_factor(person, by=context.user, reason=context.reason)
    return f"The second factor of {person.email} is off."


def _note(person: User, context: ActionContext) -> str:
    staff_administration.add_note(person, by=context.user, text=context.fields["text"])
    return "Noted."


def _impersonate(person: User, context: ActionContext) -> str:
    """Reading only: the page that follows shows what they see. Counted like the API's; a refusal is in the trail, too."""
    api_request = Request(context.request)
    api_request.user = context.user  # whom the limit counts
    if usage := rate_limits.count_request(rate_limits.IMPERSONATION, api_request):
        rate_limits.require_within_limit(usage)
    wish = impersonations.ImpersonationRequest(
        reason=context.reason,
        minutes=context.fields["minutes"],
        ticket=context.fields["ticket"],
        current_password=context.fields["current_password"],
    )
    try:
        impersonations.impersonate(person, by=context.session, wish=wish)
    except DomainError as refusal:
        impersonations.record_refusal(person, by=context.user, code=refusal.code)
        raise
    return f"You see what {person.email} sees, for {wish.minutes} minutes."


def _impersonated_view_url(person: User, context: ActionContext) -> str:
    newest = Impersonation.objects.filter(session__user=person, staff_session=context.session).order_by("-started_at")
    return reverse("admin:accounts_impersonation_view", args=[newest.values_list("pk", flat=True)[0]])


def _is_customer(person: User) -> bool:
    return not person.is_staff and person.is_active


def _is_leaving(person: User) -> bool:
    """The account waits for its erasure."""
    return person.status == User.Status.DELETED and Deletion.objects.pending().filter(user=person).exists()


BAN = StaffAction(
    "ban", "Ban", "block",
    "Every session, token and cookie dies at once, API keys and open invitations for good, and nobody can log in until the "
    "ban is lifted. Subscriptions go on; so does a deletion that is pending.",
    Permission.BAN_USERS, _ban, available_for=lambda person: person.is_active or _is_leaving(person), is_destructive=True,
)  # fmt: skip
UNBAN = StaffAction(
    "unban", "Lift the ban", "lock_open", "They can log in again. Earlier sessions stay dead.",
    Permission.BAN_USERS, _unban, OptionalReasonForm, available_for=lambda person: person.status == User.Status.DISABLED,
)  # fmt: skip
USER_ACTIONS = (
    StaffAction(
        "impersonate", "See what they see", "visibility",
        "You look at the product in their name, reading only. They can see that support was here, every request is in the "
        "audit trail, and it ends by itself.",
        Permission.IMPERSONATE, _impersonate, ImpersonateForm, available_for=_is_customer, success_url=_impersonated_view_url,
    ),
    StaffAction(
        "note", "Add a note", "sticky_note_2", "For whoever opens this page next.", Permission.NOTE_USERS, _note, NoteForm,
    ),
    StaffAction(
        "send-reset", "Send a password reset", "forward_to_inbox",
        "They get a mail with a link that works once. Nobody here sees it.",
        Permission.RECOVER_USERS, _send_reset, OptionalReasonForm, available_for=lambda person: person.is_active,
    ),
    StaffAction(
        "revoke-sessions", "Log out everywhere", "logout", "All of their devices and tokens are logged out at once.",
        Permission.END_SESSIONS, _revoke, OptionalReasonForm, available_for=lambda person: person.is_active,
    ),
    StaffAction(
        "reset-mfa", "Remove the second factor", "phonelink_erase",
        "For whoever lost the device and the recovery codes. Be sure who is asking. They are logged out "
        "everywhere and told by mail.",
        Permission.RECOVER_USERS, _reset_factor,
        available_for=lambda person: Totp.objects.confirmed(person.id).exists(), is_destructive=True,
    ),
    BAN,
    UNBAN,
)  # fmt: skip
