"""Which mails can be sent again: none whose link works once and is no longer known."""

import pytest

from saas.mail.actions import MailNotResendable, queue_mail, resend_mail
from saas.mail.models import Mail

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("status", "template", "is_resendable"),
    [
        ("failed", "password_reset", True),
        ("sent", "password_reset", False),
        ("queued", "password_reset", False),
        ("failed", "password_changed", True),
        ("sent", "password_changed", True),
        ("queued", "password_changed", False),
        ("failed", "of_a_module_that_is_gone", False),
    ],
)
def test_a_mail_is_sent_again_if_it_failed_or_has_no_link(status: str, template: str, is_resendable: bool) -> None:
    secrets = {"token": "t0ken"} if template == "password_reset" else {}
    queue_mail(template, to="kim@example.net", context={"name": "Kim"}, secrets=secrets, dedupe_key="1")
    mail = Mail.objects.get()
    mail.status, mail.sealed = status, {} if status == "sent" else mail.sealed
    mail.save()

    if is_resendable:
        assert resend_mail(mail).status == "queued"
    else:
        with pytest.raises(MailNotResendable):
            resend_mail(mail)

    assert Mail.objects.count() == (2 if is_resendable and status == "sent" else 1)
