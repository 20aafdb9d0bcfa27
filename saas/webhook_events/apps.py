from django.apps import AppConfig

from saas.workers.due_work import register_due_work_check


class WebhookEventsConfig(AppConfig):
    name = "saas.webhook_events"

    def ready(self) -> None:
        from saas.operations.app_discovery import autodiscover

        autodiscover("webhook_handlers")
        register_due_work_check(_is_an_event_due)


def _is_an_event_due() -> bool:
    from saas.webhook_events.models import WebhookEvent  # there when all apps are

    return WebhookEvent.objects.due().exists()
