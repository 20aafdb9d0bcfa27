"""The mail queue: claim a row, send, note the end. The network is never called inside a transaction."""

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from saas.mail import rendering
from saas.mail.models import Mail

logger = logging.getLogger(__name__)

BACKOFF = [timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6)]
CLAIM = timedelta(minutes=2)  # longer than any send: the transport gives up after 5 s
SWEEP_SIZE = 100


def due() -> list[int]:
    """Ids of what waits to be sent, oldest first."""
    waiting = Mail.objects.due(timezone.now()).order_by("next_attempt_at")
    return list(waiting.values_list("pk", flat=True)[:SWEEP_SIZE])


def deliver(mail_id: int) -> None:
    """Send one mail if it is due. A second worker finds it claimed and does nothing."""
    now = timezone.now()
    if not Mail.objects.due(now).filter(pk=mail_id).update(attempts=F("attempts") + 1, next_attempt_at=now + CLAIM):
        return
    mail = Mail.objects.get(pk=mail_id)
    try:
        rendering.message(mail).send()
    except Exception as error:
        _note_failure(mail, error)
    else:
        kept = mail.sealed if settings.MAILS_ARE_SHOWN else {}
        Mail.objects.filter(pk=mail.pk).update(
            status=Mail.Status.SENT, sent_at=timezone.now(), last_error="", sealed=kept
        )


def _note_failure(mail: Mail, error: Exception) -> None:
    told = {"mail": mail.pk, "attempt": mail.attempts, "error": type(error).__name__}
    # What a mail server answers names the recipient: not for the log.
    logger.warning("mail_failed", extra=told, exc_info=None if isinstance(error, SMTPException) else error)
    spent = mail.attempts > len(BACKOFF)
    Mail.objects.filter(pk=mail.pk, attempts=mail.attempts).update(
        status=Mail.Status.FAILED if spent else Mail.Status.QUEUED,
        next_attempt_at=timezone.now() + BACKOFF[min(mail.attempts, len(BACKOFF)) - 1],
        last_error=type(error).__name__,
    )
