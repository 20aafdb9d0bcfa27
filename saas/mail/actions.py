"""Queueing mails."""

from collections.abc import Mapping
from types import MappingProxyType

from django.conf import settings

from saas.background_tasks import notify_workers
from saas.mail.models import Mail
from saas.mail.tasks import deliver
from saas.security.encryption import encrypt


def queue_mail(
    template: str,
    *,
    to: str,
    context: Mapping[str, str],
    dedupe_key: str,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Queue a mail in the current transaction, once for each ``dedupe_key``.

    ``template`` names ``saas/mail/templates/mail/<template>.txt``, whose first line is the subject. ``secrets`` are values
    for it, too (the token of a link), but the row holds them encrypted.
    """
    sealed = {name: encrypt(value, secret=settings.SECRET_KEY) for name, value in secrets.items()}
    mail, created = Mail.objects.get_or_create(
        dedupe_key=dedupe_key,
        defaults={"template": template, "recipient": to, "context": dict(context), "sealed": sealed},
    )
    if created:
        notify_workers(deliver, mail.pk)
