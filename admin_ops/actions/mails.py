"""Sending a mail again."""

from typing import Any

from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Endpoint, StaffAction, Target, as_row_number
from admin_ops.serializers import users as shapes
from admin_ops.status_colors import NEWS
from saas.accounts.staff import staff_administration
from saas.accounts.staff.staff_roles import StaffPermission
from saas.api.representation import represent
from saas.mail.actions import MailNotResendable, is_resendable
from saas.mail.models import Mail


def _find(mail_id: str) -> Mail | None:
    return Mail.objects.filter(pk=as_row_number(mail_id)).first()


MAIL = Target(Mail, StaffPermission.READ_USERS, _find)


def resend(row: Mail, context: ActionContext, *, reason: str) -> ActionResult:
    again = staff_administration.resend_mail(row, by=context.user, reason=reason)
    return ActionResult(f"It is on its way to {row.recipient} again.", again)


def _represent(mail: Mail) -> dict[str, Any]:
    return {"mail": represent(shapes.MailShape, mail)}


RESEND_MAIL = StaffAction(
    name="resend",
    target=MAIL,
    label="Send it again",
    icon="forward_to_inbox",
    description="The same mail to the same address. Mails with a link that works once cannot be sent again: the link is not "
    "kept. Send a password reset or have them ask for a new link instead.",
    permission=StaffPermission.RECOVER_USERS,
    run=resend,
    available_for=is_resendable,
    unavailable=MailNotResendable.title,
    audit=(AuditLabel("mail.resent", "Sent a mail again", NEWS),),
    endpoint=Endpoint(
        path="mails/<str:mail_id>/resend",
        operation_id="staff_mail_resend",
        summary="Send a mail again",
        tag="users",
        body=shapes.ReasonBody,
        status=202,
        response=shapes.OneMailShape,
        represent=_represent,
        refusals=(MailNotResendable,),
    ),
)
