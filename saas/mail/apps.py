from django.apps import AppConfig
from django.utils import timezone

from saas.workers.due_work import register_due_work_check


class MailConfig(AppConfig):
    name = "saas.mail"

    def ready(self) -> None:
        from saas.mail.models import Mail

        register_due_work_check(lambda: Mail.objects.due(timezone.now()).exists())
