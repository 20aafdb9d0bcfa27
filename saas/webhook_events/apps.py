from django.apps import AppConfig

from saas.workers.due_work import tells_due_work


class WebhookEventsConfig(AppConfig):
    name = "saas.webhook_events"

    def ready(self) -> None:
        from saas.operations.app_discovery import discover

        discover("webhook_handlers")
        tells_due_work(_is_an_event_due)


def _is_an_event_due() -> bool:
    from saas.webhook_events.models import WebhookEvent  # there when all apps are

    return WebhookEvent.objects.due().exists()
