"""The mail queue: claim a row, send, store the result. The network is never called inside a transaction.

Replies of mail servers are classified by RFC 5321 (4.2.1): 4yz may be tried again, 5yz may not. The status after it says more
(RFC 3463): 5.1.1 no such mailbox, 5.7.8 a wrong password of ours.
"""

import logging
import re
from datetime import timedelta
from smtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from saas import request_context
from saas.background_tasks import for_a_while
from saas.mail import rendering
from saas.mail.metrics import ATTEMPTS
from saas.mail.models import Mail

logger = logging.getLogger(__name__)

BACKOFF = [timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6)]
CLAIM_TIMEOUT = timedelta(minutes=2)  # longer than any send: the transport gives up after 5 s
SWEEP_SIZE = 100
LONGEST_REASON = 500
_PERMANENT, _MAILBOX_FULL = 5, 552
# Many servers refuse our greeting, password, sender or address only in the reply to the recipient.
_REFUSES_US = re.compile(
    r"5(?:03|04|3\d) |\d+ 5\.(?:5\.[12]|7\.8)\b"
    r"|.*(?:\brelay(?:ing| not| access)\b|\bunable to relay\b"
    r"|sender address rejected|authentication required|helo command rejected)",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"\d+ 5\.4\.5\b")  # Gmail's for a day's mails


def due_mail_ids() -> list[int]:
    """Ids of queued mails that are due, oldest first."""
    waiting = Mail.objects.due(timezone.now()).order_by("next_attempt_at")
    return list(waiting.values_list("pk", flat=True)[:SWEEP_SIZE])


def deliver_due_mails() -> None:
    """Send the mails that are due, for a while. Stop when the server itself fails: each further mail would wait for seconds."""
    for mail_id in for_a_while(due_mail_ids()):
        error = deliver_mail(mail_id)
        if error and concerns_every_mail(error):
            return


def deliver_mail(mail_id: int) -> Exception | None:
    """Send one mail if it is due; return why it could not be sent. For one that another worker has claimed, do nothing."""
    now = timezone.now()
    if (
        not Mail.objects.due(now)
        .filter(pk=mail_id)
        .update(attempts=F("attempts") + 1, next_attempt_at=now + CLAIM_TIMEOUT)
    ):
        return None
    mail = Mail.objects.get(pk=mail_id)
    own = request_context.current()
    queued_in = own._replace(request_id=mail.request_id or own.request_id)
    with (
        request_context.use_context(queued_in),
        request_context.span("mail.send", mail=mail.pk, template=mail.template),
    ):
        return _send(mail)


def _send(mail: Mail) -> Exception | None:
    try:
        rendering.render_message(mail).send()
    except Exception as error:
        _note_failure(mail, error)
        return error
    kept = mail.sealed if settings.MAILS_ARE_SHOWN else {}
    Mail.objects.filter(pk=mail.pk).update(status=Mail.Status.SENT, sent_at=timezone.now(), last_error="", sealed=kept)
    logger.info("mail_sent", extra={"mail": mail.pk, "attempt": mail.attempts})
    ATTEMPTS.labels("sent").inc()
    return None


def _note_failure(mail: Mail, error: Exception) -> None:
    fields = {"mail": mail.pk, "attempt": mail.attempts, "error": type(error).__name__, "answer": reply_codes(error)}
    # The text of a mail server's reply names the recipient: not for the log.
    logger.warning("mail_failed", extra=fields, exc_info=None if isinstance(error, SMTPException) else error)
    is_over = is_permanent(error) or mail.attempts > len(BACKOFF)
    ATTEMPTS.labels("failed" if is_over else "retried").inc()
    Mail.objects.filter(pk=mail.pk, attempts=mail.attempts).update(
        status=Mail.Status.FAILED if is_over else Mail.Status.QUEUED,
        next_attempt_at=timezone.now() + BACKOFF[min(mail.attempts, len(BACKOFF)) - 1],
        last_error=describe_error(error).replace(mail.recipient, "<recipient>")[:LONGEST_REASON],
    )


def is_permanent(error: Exception) -> bool:
    """Whether sending again is useless: the recipient or the content was refused permanently.

    Refusals of our host name, password or sender concern every mail and can be fixed here: these are tried again.
    """
    match error:
        case SMTPRecipientsRefused():
            return all(_refuses_recipient(code, text) for code, text in error.recipients.values())
        case SMTPDataError():
            return _is_final(error.smtp_code, error.smtp_error)
    return False


def _refuses_recipient(code: int, text: bytes | str) -> bool:
    # 552 says that a mailbox is full. RFC 5321 (4.5.3.1.10) has clients take it for 452.
    return _is_final(code, text) and code != _MAILBOX_FULL and not _REFUSES_US.match(_answer(code, text))


def concerns_every_mail(error: Exception) -> bool:
    """Whether the server cannot be reached, or refuses us: not this recipient, and not this content."""
    return isinstance(error, OSError) and not isinstance(error, SMTPRecipientsRefused | SMTPDataError)


def _is_final(code: int, text: bytes | str) -> bool:
    return code // 100 == _PERMANENT and not _QUOTA.match(_answer(code, text))


def reply_codes(error: Exception) -> list[int]:
    """The codes of the server's reply; none if there was no reply."""
    match error:
        case SMTPRecipientsRefused():
            return sorted({code for code, _ in error.recipients.values()})
        case SMTPResponseException():
            return [error.smtp_code]
    return []


def describe_error(error: Exception) -> str:
    """The server's reply; the kind of error if there was none."""
    match error:
        case SMTPRecipientsRefused():
            return "; ".join(_answer(code, text) for code, text in error.recipients.values())
        case SMTPResponseException():
            return _answer(error.smtp_code, error.smtp_error)
    return type(error).__name__


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}".replace("\x00", "\ufffd")
