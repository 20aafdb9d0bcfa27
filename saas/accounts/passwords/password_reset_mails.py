"""Mailing the link by which a new password is set: for whoever forgot hers, and for staff who help."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from saas.accounts import one_time_tokens
from saas.accounts.models import OneTimeToken, ResetRequest, User
from saas.accounts.sessions import tokens
from saas.audit.actions import record
from saas.mail.actions import queue_mail

RESETS_PER_HOUR = 5


@transaction.atomic
def mail_reset_link(user: User, *, by: str, reason: str = "") -> None:
    """Mail a link by which a new password can be set; ``by`` asked for it."""
    _mail_reset(user)
    record("password.reset_sent", actor=by, target=user.id, reason=reason)


def _mail_reset(user: User) -> None:
    token = one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.RESET)
    queue_mail(
        "password_reset",
        to=user.email,
        context={"name": user.full_name},
        secrets={"token": token},
        dedupe_key=f"reset:{tokens.hash_token(token)}",
    )


@transaction.atomic
def handle_reset_request(request_id: int) -> None:
    """What the worker does about a ``ResetRequest``. May be repeated: it is claimed in the transaction of its effect."""
    now = timezone.now()
    if not ResetRequest.objects.filter(pk=request_id, handled_at=None).update(handled_at=now):
        return
    asked = ResetRequest.objects.get(pk=request_id)
    user = User.objects.customers().filter(email_canonical=asked.email, status=User.Status.ACTIVE).first()
    if user and _may_have_another(user):
        _mail_reset(user)
        record("password.reset_sent", target=user.id)


def _may_have_another(user: User) -> bool:
    hour_ago = timezone.now() - timedelta(hours=1)
    recent = OneTimeToken.objects.filter(user=user, purpose=OneTimeToken.Purpose.RESET, created_at__gt=hour_ago)
    return recent.count() < RESETS_PER_HOUR
