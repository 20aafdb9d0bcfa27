"""Mail the link that sets a new password: for a person who forgot theirs, and for staff who help."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from saas.accounts import one_time_tokens
from saas.accounts.models import Deletion, OneTimeToken, ResetRequest, User
from saas.accounts.privacy.account_deletion import mail_keep_link
from saas.accounts.sessions import tokens
from saas.accounts.staff.staff_pages import staff_password_page
from saas.audit.actions import record
from saas.mail.actions import queue_mail

RESETS_PER_HOUR = 5


@transaction.atomic
def mail_reset_link(user: User, *, by: str, reason: str = "") -> None:
    """Mail the link to ``user``; ``by`` is the id of the member of staff who asked for it."""
    _mail_reset(user)
    record("password.reset_sent", actor=by, target=user.id, reason=reason)


def _mail_reset(user: User) -> None:
    token = one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.RESET)
    page = {"staff_page": staff_password_page()} if user.is_staff else {}
    queue_mail(
        "password_reset",
        to=user.email,
        locale=user.locale,
        context={"name": user.full_name, **page},
        secrets={"token": token},
        dedupe_key=f"reset:{tokens.hash_token(token)}",
    )


@transaction.atomic
def handle_reset_request(request_id: int) -> None:
    """Mail a link for a ``ResetRequest``, if there is an account; to one that is being deleted the link that keeps it.

    May be repeated: claimed in the transaction of its effect.
    """
    now = timezone.now()
    if not ResetRequest.objects.filter(pk=request_id, handled_at=None).update(handled_at=now):
        return
    reset_request = ResetRequest.objects.get(pk=request_id)
    user = User.objects.customers().filter(email_canonical=reset_request.email).first()
    if user is None or _was_mailed_often(user, now):
        return
    if user.is_active:
        _mail_reset(user)
        record("password.reset_sent", target=user.id)
    elif user.status == User.Status.DELETED and (
        deletion := Deletion.objects.pending().filter(user=user, due_at__gt=now).first()
    ):
        mail_keep_link(user, deletion)
        record("user.keep_link_sent", target=user.id)


def _was_mailed_often(user: User, now: datetime) -> bool:
    purposes = (OneTimeToken.Purpose.RESET, OneTimeToken.Purpose.KEEP)
    sent = OneTimeToken.objects.filter(user=user, purpose__in=purposes, created_at__gt=now - timedelta(hours=1))
    return sent.count() >= RESETS_PER_HOUR
