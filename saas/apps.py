from django.apps import AppConfig

from saas.operations.multiprocess_metrics.folders import metrics_folder

if metrics_folder():  # before any app makes a metric
    from saas.operations.multiprocess_metrics.files import use_allocated_files

    use_allocated_files()


class SaasConfig(AppConfig):
    """The project itself, installed for its management commands and so that every process knows the Celery application."""

    name = "saas"
    verbose_name = "SaaS"

    def ready(self) -> None:
        from saas.operations import telemetry

        telemetry.start_telemetry()
        import saas.celery
        import saas.workers.task_metrics  # noqa: F401  (here and not in saas/__init__.py: decision 2)
