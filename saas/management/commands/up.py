import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import create_connection
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.core.management.color import supports_color
from django.db import OperationalError, connections
from django.utils import timezone
from django.utils.termcolors import colorize

from saas.operations.models import Heartbeat
from saas.server.ports import ports_from_base, urls_from_base
from saas.server.supervisor import Program, Supervisor

HOST = "127.0.0.1"
HEALTH_TIMEOUT_SECONDS = 1.0
BACKGROUND = {"worker", "beat"}
BACKGROUND_PATIENCE = timedelta(seconds=20)
WATCHED = ("saas", "product", "admin_ops", "parity", "webhooks")
TITLES = {"product": "Product API", "admin_ops": "Admin ops API", "parity": "Parity API", "webhooks": "Webhooks API"}
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
# Two threads, because SQLite allows one writer at a time. A single worker needs no gossip. Celery's warning of root is
# hidden: in a container every process is root.
WORKER = ("worker", "--concurrency=2", "--without-gossip", "--without-mingle", "--loglevel=INFO")
BEAT = ("beat", "--loglevel=INFO")
PYTHON = (sys.executable, "-W", "ignore:You're running the worker with superuser privileges")


class Command(BaseCommand):
    help = "Run everything: the four services, a worker and beat. Ctrl-C stops it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port-base", type=int, help="Port of product; the other services get the next three.")
        parser.add_argument("--noreload", action="store_false", dest="reload", help="Do not restart when code changes.")

    def handle(self, *, port_base: int | None, reload: bool, **options: Any) -> None:
        started = time.monotonic()
        ports = dict(settings.SERVICE_PORTS) if port_base is None else ports_from_base(port_base)
        _require_free(ports)
        self._prepare()
        moved = {} if port_base is None else urls_from_base(port_base)
        urls = {**settings.SERVICE_BASE_URLS, **moved}
        programs = _programs(ports, {f"{name.upper()}_BASE_URL": url for name, url in moved.items()})
        can_colour = supports_color() and not options["no_color"] and "NO_COLOR" not in os.environ
        is_coloured = can_colour or bool(options["force_color"])
        say = LabelledOutput([program.name for program in programs], is_coloured=is_coloured)
        supervisor = Supervisor(programs, say, watched=[settings.BASE_DIR / name for name in WATCHED] if reload else [])
        code = supervisor.run(
            is_ready=ReadinessProbe(ports, urls),
            on_ready=lambda: say.write(_banner(urls, time.monotonic() - started)),
        )
        say.write("Stopped." if code == 0 else f"Stopped with code {code}.")
        sys.exit(code)

    def _prepare(self) -> None:
        database = settings.DATABASES["default"]
        self.stdout.write(f"Migrating {database['ENGINE'].rpartition('.')[2]} {database['NAME']} …")
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except OperationalError as error:
            raise CommandError(f"The database is away: {error}".strip().partition("\n")[0]) from error
        call_command("seed", stdout=self.stdout)
        connections.close_all()


class LabelledOutput:
    """Writes lines of several programs, each labelled with its program's name; thread-safe."""

    def __init__(self, names: Sequence[str], *, is_coloured: bool) -> None:
        self.lock = Lock()
        self.width = max(len(name) for name in names)
        self.colours = dict(zip(names, COLOURS, strict=False)) if is_coloured else {}

    def __call__(self, name: str, line: str) -> None:
        label = f"{name:>{self.width}} │"
        colour = self.colours.get(name)
        self.write(f"{colorize(label, fg=colour) if colour else label} {line}")

    def write(self, text: str) -> None:
        with self.lock:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()


class ReadinessProbe:
    """Whether every service has answered ``/health`` once, and worker and beat have recorded a heartbeat.

    Those two need the broker, which may be unavailable: after ``BACKGROUND_PATIENCE`` they are not waited for.
    """

    def __init__(self, ports: Mapping[str, int], urls: Mapping[str, str]) -> None:
        self.ports = ports
        self.urls = urls
        self.waiting_for = list(ports)
        self.since = timezone.now()

    def __call__(self) -> bool:
        self.waiting_for = [name for name in self.waiting_for if not self._answers(name)]
        if self.waiting_for:
            return False
        is_late = timezone.now() - self.since > BACKGROUND_PATIENCE
        return is_late or Heartbeat.objects.names_since(self.since) >= BACKGROUND

    def _answers(self, name: str) -> bool:
        connection = HTTPConnection(HOST, self.ports[name], timeout=HEALTH_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/health", headers={"Host": urlsplit(self.urls[name]).netloc})
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def _require_free(ports: Mapping[str, int]) -> None:
    taken = []
    for name, port in ports.items():
        with suppress(OSError):
            create_connection(("localhost", port), timeout=HEALTH_TIMEOUT_SECONDS).close()
            taken.append(f"{port} ({name})")
    if taken:
        noun, verb = ("Port", "is") if len(taken) == 1 else ("Ports", "are")
        raise CommandError(
            f"{noun} {', '.join(taken)} {verb} in use by another program: end it, or move all four with --port-base."
        )


def _programs(ports: Mapping[str, int], environment: Mapping[str, str]) -> list[Program]:
    python_path = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
    services = [
        Program(
            name,
            [*PYTHON, *_service_command(name, port)],
            {
                **environment,
                "PYTHONPATH": python_path,
                "DJANGO_SETTINGS_MODULE": f"saas.settings.{name}",
                "BIND": f"{HOST}:{port}",
                "DRAIN_SECONDS": "0",
            },
        )
        for name, port in ports.items()
    ]
    celery = [*PYTHON, "-m", "celery", "--quiet", "--no-color", "-A", "saas", f"--workdir={settings.BASE_DIR}"]
    webhooks = {**environment, "DJANGO_SETTINGS_MODULE": "saas.settings.webhooks"}
    return [
        *services,
        Program("worker", [*celery, *WORKER], webhooks, restart_on_exit=True),
        Program("beat", [*celery, *BEAT], webhooks, restart_on_exit=True),
    ]


def _service_command(name: str, port: int) -> list[str]:
    """Without Django's reloader, which would double the memory of each service: the supervisor watches the code for all.

    Webhooks runs on the production server: deliveries come in bursts.
    """
    manage = str(Path(settings.BASE_DIR) / "manage.py")
    if name == "webhooks":
        return [manage, "serve", name, "--workers", "1"]
    return [manage, "runserver", f"{HOST}:{port}", "--noreload", "--skip-checks"]


def _banner(urls: Mapping[str, str], seconds: float) -> str:
    width = max(len(url) for url in urls.values())
    lines = [f"  {TITLES[name]:<14} {url:<{width}}  {url}/docs  {url}/health" for name, url in urls.items()]
    admin = f"  {'Django admin':<14} {urls['admin_ops']}/admin/"
    return "\n".join(["", f"READY in {seconds:.1f} s", "", *lines, admin, "", "Ctrl-C stops everything.", ""])
