from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "saas.audit"

    def ready(self) -> None:
        import saas.audit.checks  # noqa: F401  (registers them)
