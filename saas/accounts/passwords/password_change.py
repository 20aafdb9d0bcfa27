"""Change a password by the old one, or reset it by a mailed link."""

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from saas import request_context
from saas.accounts import account_handover, one_time_tokens
from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import Audience, LoginSession, OneTimeToken, ResetRequest, User
from saas.accounts.oauth import identities
from saas.accounts.passwords import login_throttle
from saas.accounts.passwords.validators import check_new_password
from saas.accounts.sessions import long_lived_credentials
from saas.accounts.sessions.logins import InvalidCredentials, Login, end_sessions, open_session
from saas.accounts.staff.staff_pages import mail_values
from saas.accounts.tasks import answer_reset_request
from saas.audit.actions import record
from saas.background_tasks import notify_workers
from saas.mail.actions import queue_mail


def change_password(session: LoginSession, *, new_password: str) -> Login:
    """Set a new password, end every session and token, and open a new session. Call ``require_recent_login`` first."""
    user = session.user
    if user is None:
        raise InvalidCredentials
    check_new_password(new_password, user, field="new_password")
    encoded = make_password(new_password)
    with transaction.atomic():
        if not _replace_password(user, encoded):
            raise InvalidCredentials  # reset, banned or logged out everywhere meanwhile
        record("password.changed", actor=user.id, target=user.id)
        return open_session(user, methods=session.methods, audience=Audience(session.audience))


def request_password_reset(email: str) -> None:
    """Store the request; a worker mails a link if there is an account, so the answer does not reveal whether there is one.

    Raises ``InvalidAddress``.
    """
    here = request_context.current()
    with transaction.atomic():
        asked = ResetRequest.objects.create(
            email=canonical_email(email), request_id=here.request_id, address=here.address
        )
        notify_workers(answer_reset_request, asked.pk)


def reset_password(token: str, *, new_password: str) -> User:
    """Set a new password by a mailed link, end every session, and return the account. Raises ``OneTimeTokenInvalid``.

    Reading the mailbox proves the address: an unconfirmed account is handed over, emptied (``account_handover``). In a
    confirmed one everything that an intruder may have left ends: API keys, open invitations, identities of another address.
    """
    link = one_time_tokens.find_one_time_token(token, OneTimeToken.Purpose.RESET)
    user = link.user
    check_new_password(new_password, user, field="new_password")
    encoded = make_password(new_password)
    with transaction.atomic():
        one_time_tokens.consume_one_time_token(link)
        ended = _end_other_access(User.objects.select_for_update().get(pk=user.pk))
        verified_at = Coalesce("email_verified_at", timezone.now())
        if not _replace_password(user, encoded, ended=ended, email_verified_at=verified_at):
            raise one_time_tokens.OneTimeTokenInvalid
        login_throttle.reset_attempts(login_throttle.password_key(user.email))
        record("password.reset", actor=user.id, target=user.id)
    return user


def _end_other_access(user: User) -> int:
    """End every other way into the account: an intruder may be why it is recovered. Return how many credentials ended."""
    if not user.is_verified:
        account_handover.remove_previous_access(user)
        return 0
    identities.unlink_unproven_identities(user)
    return long_lived_credentials.revoke_long_lived_credentials(user, by=user.id, because="password reset")


def _replace_password(user: User, encoded: str, *, ended: int = 0, **also: object) -> bool:
    """Replace the hash and send the mail; return False if the epoch has changed: of two changes at once one wins.

    The new epoch ends tokens that were issued in this very second. ``ended`` is how many API keys and invitations ended with
    the old password, for the mail.
    """
    now = timezone.now()
    is_replaced = User.objects.filter(pk=user.pk, token_epoch=user.token_epoch, status=User.Status.ACTIVE).update(
        password=encoded, token_epoch=F("token_epoch") + 1, updated_at=now, **also
    )
    if is_replaced:
        end_sessions(user)
        user.refresh_from_db()
        queue_mail(
            "password_changed",
            to=user.email,
            locale=user.locale,
            context={**mail_values(user), "ended": str(ended or "")},
            dedupe_key=f"password_changed:{user.id}:{user.token_epoch}",
        )
    return bool(is_replaced)
