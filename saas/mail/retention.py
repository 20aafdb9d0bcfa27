"""How long mails are kept."""

from datetime import datetime, timedelta

from django.db.models import Q

from saas.mail.models import Mail
from saas.operations.retention.rules import delete_when

MAILS = timedelta(days=400)
_replayable: set[str] = set()


def keep_replayable(*templates: str) -> None:
    """Keep mails of these templates: they are queued by events, and a replay years later would send them again."""
    _replayable.update(templates)


def _expired(now: datetime) -> Q:
    is_over = Q(status__in=[Mail.Status.SENT, Mail.Status.FAILED], created_at__lt=now - MAILS)
    return is_over & ~Q(template__in=_replayable)


delete_when(Mail, _expired)
