"""Delete an account, or cancel that within 14 days. Afterwards ``erasure`` erases its data."""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts import one_time_tokens
from saas.accounts.models import Deletion, OneTimeToken, User
from saas.accounts.privacy import data_sources
from saas.accounts.sessions.logins import InvalidCredentials, end_sessions
from saas.accounts.sessions.tokens import hash_token
from saas.audit.actions import record
from saas.mail.actions import queue_mail

GRACE_PERIOD = one_time_tokens.LIFETIMES[OneTimeToken.Purpose.KEEP]


@transaction.atomic
def delete_account(user: User) -> tuple[Deletion, str]:
    """Log a person out everywhere, close the account and schedule its erasure in 14 days. Returns also the token that undoes it,
    which is mailed.

    Raises the refusals of the apps that still need the account, such as ``TeamNeedsOwner``. Call ``require_recent_login``
    first.
    """
    now = timezone.now()
    is_closed = User.objects.filter(pk=user.pk, status=User.Status.ACTIVE, token_epoch=user.token_epoch).update(
        status=User.Status.DELETED, token_epoch=F("token_epoch") + 1, updated_at=now
    )
    if not is_closed:
        raise InvalidCredentials  # banned, logged out everywhere or deleted meanwhile
    deletion, token = _schedule_erasure(user)
    record("user.deletion_requested", actor=user.id, target=user.id)
    return deletion, token


@transaction.atomic
def begin_deletion(user: User, *, by: User, reason: str) -> Deletion | None:
    """Like ``delete_account``, but begun by staff, for a person who cannot log in. A banned account stays banned. ``None`` if a
    deletion is pending or done. Raises the refusals of the apps that still need the account."""
    account = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if account.status == User.Status.DELETED or Deletion.objects.filter(user=account).exists():
        return None
    status = User.Status.DELETED if account.is_active else account.status
    User.objects.filter(pk=account.pk).update(
        status=status, token_epoch=F("token_epoch") + 1, updated_at=timezone.now()
    )
    deletion, _ = _schedule_erasure(account, by_support=True)
    record("user.deletion_begun", actor=by.id, target=account.id, reason=reason)
    return deletion


def _schedule_erasure(user: User, *, by_support: bool = False) -> tuple[Deletion, str]:
    now = timezone.now()
    data_sources.require_deletable(user)
    end_sessions(user)
    deletion = Deletion.objects.create(user=user, requested_at=now, due_at=now + GRACE_PERIOD)
    return deletion, mail_keep_link(user, deletion, by_support=by_support)


def mail_keep_link(user: User, deletion: Deletion, *, by_support: bool = False) -> str:
    """Mail the link that undoes a pending deletion, inside the caller's transaction; return its token."""
    token = one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.KEEP)
    queue_mail(
        "deletion_requested",
        to=user.email,
        locale=user.locale,
        context={
            "name": user.full_name,
            "due": user.written_day(deletion.due_at),
            "by_support": "yes" if by_support else "",
        },
        secrets={"token": token},
        dedupe_key=f"deletion:{hash_token(token)}",
    )
    return token


@transaction.atomic
def cancel_deletion(token: str) -> None:
    """Keep the account, by the mailed link. It logs no one in, and a ban stays. Raises ``OneTimeTokenInvalid``."""
    link = one_time_tokens.find_one_time_token(token, OneTimeToken.Purpose.KEEP)
    user = link.user
    # The deletion first, then the link: the order in which the erasure locks them.
    if not Deletion.objects.pending().filter(user=user).delete()[0]:
        raise one_time_tokens.OneTimeTokenInvalid
    one_time_tokens.consume_one_time_token(link)
    one_time_tokens.end_one_time_tokens(user, OneTimeToken.Purpose.KEEP)  # none of them undoes a later deletion
    User.objects.filter(pk=user.pk, status=User.Status.DELETED).update(
        status=User.Status.ACTIVE, updated_at=timezone.now()
    )
    record("user.deletion_canceled", actor=user.id, target=user.id)
    is_banned = User.objects.filter(pk=user.pk, status=User.Status.DISABLED).exists()
    queue_mail(
        "deletion_canceled",
        to=user.email,
        locale=user.locale,
        context={"name": user.full_name, "banned": "yes" if is_banned else ""},
        dedupe_key=f"deletion_canceled:{link.pk}",
    )
