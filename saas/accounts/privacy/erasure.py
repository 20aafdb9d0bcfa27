"""What becomes of an account that was given up 14 days ago: the row stays, for the ledger and the audit trail, and nobody
can tell any more whose it was."""

import logging
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from saas.accounts.models import Deletion, User
from saas.accounts.privacy import data_sources
from saas.audit.actions import record
from saas.errors import DomainError

logger = logging.getLogger(__name__)

BATCH_SIZE = 20
RETRY_AFTER = timedelta(days=1)


def erase_due_accounts() -> int:
    """Erase those whose time has come; tells how many. One that an app still needs waits for the next round."""
    due = Deletion.objects.due(timezone.now()).order_by("due_at").values_list("pk", flat=True)
    return sum(_tried(user_id) for user_id in list(due[:BATCH_SIZE]))


def _tried(user_id: str) -> bool:
    try:
        return erase_account(user_id)
    except DomainError as refusal:
        _put_off(user_id)
        logger.warning("erasure_refused", extra={"user": user_id, "code": refusal.code})
        return False


@transaction.atomic
def erase_account(user_id: str) -> bool:
    """Forget a person. May be repeated: it is claimed in the transaction of its effect."""
    now = timezone.now()
    if not Deletion.objects.due(now).filter(pk=user_id).update(erased_at=now):
        return False
    user = User.objects.get(pk=user_id)
    data_sources.require_deletable(user)
    data_sources.erase_personal_data(user)
    record("user.erased", target=user_id)
    return True


def _put_off(user_id: str) -> None:
    """Behind the others, for a day: those who cannot go yet must not keep the rest waiting."""
    now = timezone.now()
    Deletion.objects.due(now).filter(pk=user_id).update(due_at=now + RETRY_AFTER)
