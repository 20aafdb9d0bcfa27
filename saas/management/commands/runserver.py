from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as RunserverCommand

from saas.operations.processes import record_service
from saas.server.development_server import Server


class Command(RunserverCommand):
    addr: str
    server_cls = Server
    help = "Run Django's development server, by default on the port of the service that the settings name."

    def handle(self, *args: Any, **options: Any) -> None:
        self.default_port = str(settings.SERVICE_PORTS[settings.SERVICE])
        super().handle(*args, **options)

    def get_handler(self, *args: Any, **options: Any) -> Any:
        """Import every view before it listens: errors show now, and the first request is no slower."""
        import_module(settings.ROOT_URLCONF)
        return super().get_handler(*args, **options)

    def on_bind(self, server_port: int) -> None:
        if not settings.PRODUCTION:
            record_service(settings.VAR_DIR, service=settings.SERVICE, port=server_port)
        host = f"[{self.addr}]" if ":" in self.addr else self.addr
        self.stdout.write(f"{settings.SERVICE} listens on http://{host}:{server_port}/ (Ctrl-C stops it)")
