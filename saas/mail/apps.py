from django.apps import AppConfig
from django.utils import timezone

from saas.workers.due_work import register_due_work_check


class MailConfig(AppConfig):
    name = "saas.mail"

    def ready(self) -> None:
        register_due_work_check(_is_a_mail_due)


def _is_a_mail_due() -> bool:
    from saas.mail.models import Mail  # there when all apps are

    return Mail.objects.due(timezone.now()).exists()
