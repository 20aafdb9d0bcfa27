"""Which mails can be sent again: none whose link works once and is no longer known."""

import pytest

from saas.mail.actions import MailNotResendable, queue_mail, resend_mail
from saas.mail.models import Mail

pytestmark = pytest.mark.django_db


def mail_in(status: str, template: str) -> Mail:
    secrets = {"token": "t0ken"} if template == "password_reset" else {}
    queue_mail(template, to="kim@example.net", context={"name": "Kim"}, secrets=secrets, dedupe_key="1")
    Mail.objects.update(status=status)
    if status == "sent":
        Mail.objects.update(sealed={})
    return Mail.objects.get()


@pytest.mark.parametrize(
    ("status", "template", "mails"),
    [("failed", "password_reset", 1), ("failed", "password_changed", 1), ("sent", "password_changed", 2)],
)
def test_a_mail_is_sent_again_if_it_failed_or_has_no_link(status: str, template: str, mails: int) -> None:
    assert resend_mail(mail_in(status, template)).status == "queued"

    assert Mail.objects.count() == mails


@pytest.mark.parametrize(
    ("status", "template"),
    [
        ("sent", "password_reset"),
        ("queued", "password_reset"),
        ("queued", "password_changed"),
        ("failed", "of_a_module_that_is_gone"),
    ],
)
def test_another_mail_is_not_sent_again(status: str, template: str) -> None:
    mail = mail_in(status, template)

    with pytest.raises(MailNotResendable):
        resend_mail(mail)

    assert Mail.objects.get().status == status
