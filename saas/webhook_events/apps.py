from django.apps import AppConfig

from saas.workers.due_work import register_due_work_check


class WebhookEventsConfig(AppConfig):
    name = "saas.webhook_events"

    def ready(self) -> None:
        from saas.operations.app_discovery import autodiscover
        from saas.webhook_events.models import WebhookEvent

        autodiscover("webhook_handlers")
        register_due_work_check(lambda: WebhookEvent.objects.due().exists())
