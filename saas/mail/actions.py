"""Queueing mails."""

import logging
from collections.abc import Mapping
from types import MappingProxyType

from django.conf import settings
from django.utils import timezone

from saas import request_context
from saas.background_tasks import notify_workers
from saas.errors import DomainError
from saas.mail.models import Mail
from saas.mail.rendering import has_template, uses_secrets
from saas.mail.tasks import deliver
from saas.security.encryption import encrypt

logger = logging.getLogger(__name__)


class MailNotResendable(DomainError):
    code, title = (
        "mail_not_resendable",
        "This mail held a link that works once, and is not kept. Send a new one instead.",
    )  # 409


def queue_mail(
    template: str,
    *,
    to: str,
    context: Mapping[str, str],
    dedupe_key: str,
    locale: str = "en",
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Queue a mail in the current transaction, once for each ``dedupe_key``.

    ``template`` names ``mail/<template>.txt``, of which text and HTML are made. ``locale`` is the recipient's. ``secrets`` are
    values for it, too (the token of a link), but the row holds them encrypted.
    """
    sealed = {name: encrypt(value, secret=settings.SECRET_KEY) for name, value in secrets.items()}
    mail, created = Mail.objects.get_or_create(
        dedupe_key=dedupe_key,
        defaults={
            "template": template,
            "recipient": to,
            "locale": locale,
            "context": dict(context),
            "sealed": sealed,
            "request_id": request_context.current().request_id,
        },
    )
    if created:
        logger.info("mail_queued", extra={"mail": mail.pk, "template": template})
        notify_workers(deliver, mail.pk)


def is_resendable(mail: Mail) -> bool:
    """Whether it failed, so that it still holds all its values, or was sent without a link that works once: such a link is
    deleted when its mail is sent."""
    if not has_template(mail):
        return False
    return mail.status == Mail.Status.FAILED or (mail.status == Mail.Status.SENT and not uses_secrets(mail))


def resend_mail(mail: Mail) -> Mail:
    """Send a failed mail again, or one that was sent once more, as a row of its own. In the caller's transaction. Raises
    ``MailNotResendable``."""
    if not is_resendable(mail):
        raise MailNotResendable
    failed = Mail.objects.filter(pk=mail.pk, status=Mail.Status.FAILED)
    if failed.update(status=Mail.Status.QUEUED, attempts=0, next_attempt_at=timezone.now(), last_error=""):
        notify_workers(deliver, mail.pk)
        mail.refresh_from_db()
        return mail
    number = Mail.objects.about(f"again:{mail.pk}:").count() + 1
    key = f"again:{mail.pk}:{number}"
    queue_mail(mail.template, to=mail.recipient, context=mail.context, dedupe_key=key, locale=mail.locale)
    return Mail.objects.get(dedupe_key=key)
