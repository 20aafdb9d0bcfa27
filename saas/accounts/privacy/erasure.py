"""Erase accounts that were deleted 14 days ago: the row stays, for the ledger and the audit trail, without personal data."""

import logging
from datetime import timedelta

from django.db import OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from saas.accounts.models import Deletion, User
from saas.accounts.privacy import data_sources
from saas.errors import DomainError

logger = logging.getLogger(__name__)

BATCH_SIZE = 20
RETRY_AFTER, RETRY_SOON = timedelta(days=1), timedelta(minutes=5)


def erase_due_accounts() -> int:
    """Erase the accounts whose time has come; return how many. Postpone an account that an app still needs, or whose erasure
    fails, by a day, so that it does not hold up the others; where only the database failed, by minutes."""
    due = Deletion.objects.due(timezone.now()).order_by("due_at").values_list("pk", flat=True)
    erased = 0
    for user_id in list(due[:BATCH_SIZE]):
        try:
            erased += erase_account(user_id)
        except DomainError as refusal:
            _postpone(user_id, RETRY_AFTER)
            logger.warning("erasure_refused", extra={"user": user_id, "code": refusal.code})
        except Exception as failure:
            _postpone(user_id, RETRY_SOON if isinstance(failure, OperationalError) else RETRY_AFTER)
            logger.exception("erasure_failed", extra={"user": user_id})
    return erased


def _postpone(user_id: str, by: timedelta) -> None:
    now = timezone.now()
    Deletion.objects.due(now).filter(pk=user_id).update(due_at=now + by)


@transaction.atomic
def erase_account(user_id: str) -> bool:
    """Erase one account; return whether it was due. May be repeated: it is claimed in the transaction of its effect."""
    now = timezone.now()
    if not Deletion.objects.due(now).filter(pk=user_id).update(erased_at=now):
        return False
    user = User.objects.get(pk=user_id)
    data_sources.require_deletable(user)
    data_sources.erase_personal_data(user, action="user.erased")
    return True


@transaction.atomic
def erase_again(user_id: str) -> bool:
    """Erase at once an account that a restored backup has brought back; return whether there is one that is not erased.

    Raises the refusals of the apps that still need the account.
    """
    now = timezone.now()
    account = User.objects.customers().filter(pk=user_id)
    if not account.exists() or Deletion.objects.filter(pk=user_id).exclude(erased_at=None).exists():
        return False
    account.update(token_epoch=F("token_epoch") + 1, updated_at=now)
    Deletion.objects.update_or_create(user_id=user_id, defaults={"due_at": now})
    return erase_account(user_id)
