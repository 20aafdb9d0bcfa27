from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class WebhookEventsConfig(AppConfig):
    name = "saas.webhook_events"

    def ready(self) -> None:
        autodiscover_modules("webhook_handlers")
