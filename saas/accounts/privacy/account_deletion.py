"""Giving up an account, and taking that back while there is time. What happens afterwards stands in ``erasure``."""

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
def delete_account(user: User) -> Deletion:
    """Log a person out everywhere and let nobody in; after 14 days what we hold about her is erased.

    Raises the refusals of the apps that still need the account, such as ``TeamNeedsOwner``. Ask ``require_recent_login`` first.
    """
    now = timezone.now()
    won = User.objects.filter(pk=user.pk, status=User.Status.ACTIVE, token_epoch=user.token_epoch).update(
        status=User.Status.DELETED, token_epoch=F("token_epoch") + 1, updated_at=now
    )
    if not won:
        raise InvalidCredentials  # banned, logged out everywhere or deleted meanwhile
    data_sources.require_deletable(user)
    end_sessions(user)
    deletion = Deletion.objects.create(user=user, requested_at=now, due_at=now + GRACE_PERIOD)
    _mail_way_back(user, deletion)
    record("user.deletion_requested", actor=user.id, target=user.id)
    return deletion


def _mail_way_back(user: User, deletion: Deletion) -> None:
    token = one_time_tokens.issue_one_time_token(user, OneTimeToken.Purpose.KEEP)
    queue_mail(
        "deletion_requested",
        to=user.email,
        context={"name": user.full_name, "due": f"{deletion.due_at:%d %B %Y}"},
        secrets={"token": token},
        dedupe_key=f"deletion:{hash_token(token)}",
    )


@transaction.atomic
def cancel_deletion(token: str) -> None:
    """Keep the account after all, by the mailed link. It logs no one in, and a ban stays. Raises ``OneTimeTokenInvalid``."""
    proof = one_time_tokens.find_one_time_token(token, OneTimeToken.Purpose.KEEP)
    # The deletion first, then the link: the order in which the erasure takes them.
    taken_back = Deletion.objects.pending().filter(user=proof.user).delete()[0]
    if not taken_back:
        raise one_time_tokens.OneTimeTokenInvalid
    one_time_tokens.consume_one_time_token(proof)
    User.objects.filter(pk=proof.user.pk, status=User.Status.DELETED).update(
        status=User.Status.ACTIVE, updated_at=timezone.now()
    )
    record("user.deletion_canceled", actor=proof.user.id, target=proof.user.id)
    queue_mail(
        "deletion_canceled",
        to=proof.user.email,
        context={"name": proof.user.full_name, "banned": "yes" if _is_banned(proof.user) else ""},
        dedupe_key=f"deletion_canceled:{proof.pk}",
    )


def _is_banned(user: User) -> bool:
    return bool(User.objects.filter(pk=user.pk, status=User.Status.DISABLED).exists())
