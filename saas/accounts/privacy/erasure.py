"""Erase accounts that were deleted 14 days ago: the row stays, for the ledger and the audit trail, without personal data."""

import logging
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from saas.accounts.models import Deletion, User
from saas.accounts.privacy import data_sources
from saas.errors import DomainError

logger = logging.getLogger(__name__)

BATCH_SIZE = 20
RETRY_AFTER = timedelta(days=1)


def erase_due_accounts() -> int:
    """Erase the accounts whose time has come; return how many. Postpone an account that an app still needs by a day, so
    that it does not hold up the others."""
    due = Deletion.objects.due(timezone.now()).order_by("due_at").values_list("pk", flat=True)
    erased = 0
    for user_id in list(due[:BATCH_SIZE]):
        try:
            erased += erase_account(user_id)
        except DomainError as refusal:
            now = timezone.now()
            Deletion.objects.due(now).filter(pk=user_id).update(due_at=now + RETRY_AFTER)
            logger.warning("erasure_refused", extra={"user": user_id, "code": refusal.code})
    return erased


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
