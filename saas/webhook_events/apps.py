from django.apps import AppConfig


class WebhookEventsConfig(AppConfig):
    name = "saas.webhook_events"

    def ready(self) -> None:
        from saas.operations.discovery import discover

        discover("webhook_handlers")
