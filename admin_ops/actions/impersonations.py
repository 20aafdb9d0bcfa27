"""Acting as a customer, and ending it."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Endpoint, StaffAction, Target
from admin_ops.actions.forms import ImpersonateForm, OptionalReasonForm
from admin_ops.actions.users import USER
from admin_ops.serializers import impersonations as shapes
from admin_ops.status_colors import WARN
from saas.accounts.models import Impersonation, User
from saas.accounts.reauthentication import ReauthRequired
from saas.accounts.staff import impersonations
from saas.accounts.staff.impersonations import CannotImpersonateStaff, ImpersonationDisabled, ImpersonationRequest
from saas.accounts.staff.staff_administration import AccountNotActive
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api import rate_limits
from saas.api.representation import represent


def impersonate(user: User, context: ActionContext, **wished: Any) -> ActionResult:
    """Reading only from Django admin, whose form has no ``write``."""
    wish = ImpersonationRequest(**wished)
    if wish.write:
        context.require(StaffPermission.IMPERSONATE_WRITE)
    started = impersonations.impersonate(user, by=context.session, request=wish)
    return ActionResult(f"You see what {user.email} sees, for {wish.minutes} minutes.", started)


def _represent_started(started: tuple[Impersonation, str]) -> dict[str, Any]:
    row, token = started
    return represent(shapes.StartedShape, row, access_token=token, token_type="bearer")  # noqa: S106  (no password)


IMPERSONATE = StaffAction(
    name="impersonate",
    target=USER,
    label="See what they see",
    icon="visibility",
    description="You look at the product in their name, reading only. They can see that support was here, every request is "
    "in the audit trail, and it ends automatically.",
    permission=StaffPermission.IMPERSONATE,
    run=impersonate,
    form=ImpersonateForm,
    available_for=lambda user: not user.is_staff and user.is_active,
    audit=(AuditLabel("impersonation.started", "Impersonation started", WARN),),
    needs_recent_login=True,
    opens_a_tab=True,
    success_url=lambda user, outcome: (
        f"{reverse('admin:accounts_impersonation_view', args=[outcome.result[0].pk])}?open=now"
    ),
    on_refusal=lambda user, context, refusal: impersonations.record_refused_impersonation(
        user, by=context.user, code=refusal.code
    ),
    limits=(rate_limits.IMPERSONATION,),
    endpoint=Endpoint(
        path="users/<str:user_id>/impersonate",
        operation_id="staff_impersonate",
        summary="Act in a customer's name",
        description="A token for Product and Parity that reads as this customer. It cannot be renewed, and carries who acts.",
        tag="impersonation",
        body=shapes.ImpersonateBody,
        status=201,
        response=shapes.StartedShape,
        represent=_represent_started,
        refusals=(CannotImpersonateStaff, ImpersonationDisabled, ReauthRequired, AccountNotActive),
    ),
)


IMPERSONATION = Target(
    Impersonation, StaffPermission.READ_USERS, lambda row_id: Impersonation.objects.listed().filter(pk=row_id).first()
)


def is_running(row: Impersonation) -> bool:
    return row.is_running(timezone.now())


def end_impersonation(row: Impersonation, context: ActionContext, *, reason: str = "") -> ActionResult:
    """End your own impersonation; ending another's requires ``MANAGE_STAFF``."""
    if row.staff_session.user_id != context.user.id:
        context.require(StaffPermission.MANAGE_STAFF, "Only an admin ends someone else's.")
    impersonations.end_impersonation(row, by=context.user)
    return ActionResult("It has ended; its token is dead.")


END_IMPERSONATION = StaffAction(
    name="end",
    target=IMPERSONATION,
    label="Stop",
    icon="stop_circle",
    description="The token is refused from the next request on.",
    permission=StaffPermission.IMPERSONATE,
    run=end_impersonation,
    form=OptionalReasonForm,
    available_for=is_running,
    audit=(AuditLabel("impersonation.ended", "Impersonation ended", icon="visibility_off"),),
    success_url=lambda row, outcome: reverse("admin:accounts_user_change", args=[row.session.user_id]),
    endpoint=Endpoint(
        method="delete",
        path="impersonations/<str:impersonation_id>",
        operation_id="staff_impersonation_end",
        summary="End an impersonation",
        description="One's own, or for an admin anybody's.",
        tag="impersonation",
        status=204,
        permission=StaffPermission.READ_USERS,
    ),
)
