"""Read sent mails as their recipients do."""

import re

from django.core import mail as outbox
from django.core.mail import EmailMessage

from saas.mail import delivery


def deliver_queued_mails(template: str = "") -> list[EmailMessage]:
    """Send the queued mails (of one template, if named), and return them."""
    from saas.mail.models import Mail

    before = len(outbox.outbox)
    for row in Mail.objects.filter(status=Mail.Status.QUEUED).order_by("pk"):
        if template in {"", row.template}:
            delivery.deliver_mail(row.pk)
    return list(outbox.outbox[before:])


def link_token(template: str) -> str:
    """Return the token of the link in the newest mail of ``template``."""
    found = re.search(r"token=(\S+)", str(deliver_queued_mails(template)[-1].body))
    assert found
    return found[1]
