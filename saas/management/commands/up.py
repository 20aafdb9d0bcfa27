import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.core.management.color import supports_color
from django.db import DatabaseError, connections
from django.utils import timezone
from django.utils.termcolors import colorize

from saas import env
from saas.management.ready import ready_block
from saas.management.terminal import waiting
from saas.operations.models import Heartbeat
from saas.operations.processes import (
    AlreadyRunning,
    claim_up,
    describe_up,
    remember_port_base,
    remembered_port_base,
)
from saas.server.bootstrap import discard_output, seconds_since_start
from saas.server.ports import ports_from_base, urls_from_base
from saas.server.supervisor import Program, Supervisor

HOST = "127.0.0.1"
HEALTH_TIMEOUT_SECONDS = 1.0
BACKGROUND = {"worker", "beat"}
BACKGROUND_PATIENCE = timedelta(seconds=20)
WATCHED = ("saas", "product", "admin_ops", "parity", "webhooks")
MEGABYTE = 2**20
NEEDED_BYTES = 64 * MEGABYTE  # for the embedded database, the broker's files and logs
QUIET_SECONDS, QUIET_PATIENCE_SECONDS = 1.0, 6.0
COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")
# Two threads, because SQLite allows one writer at a time. A single worker needs no gossip. Celery's warning of root is
# hidden: in a container every process is root.
WORKER = ("worker", "--concurrency=2", "--without-gossip", "--without-mingle", "--loglevel=INFO")
BEAT = ("beat", "--loglevel=INFO")
PYTHON = (sys.executable, "-W", "ignore:You're running the worker with superuser privileges")


class Command(BaseCommand):
    help = "Run everything: the four services, a worker and beat. Ctrl-C stops it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port-base",
            type=int,
            help="Port of product; the other services get the next three. The next `up` uses it, too.",
        )
        parser.add_argument("--noreload", action="store_false", dest="reload", help="Do not restart when code changes.")

    def handle(self, *, port_base: int | None, reload: bool, **options: Any) -> None:
        started = time.monotonic()
        chosen = _port_base(port_base)
        ports, moved = _places(chosen)
        urls = {**settings.SERVICE_BASE_URLS, **moved}
        _claim_var_dir()
        _require_free(ports)
        _require_disk_space()
        if chosen is not None:
            remember_port_base(settings.VAR_DIR, chosen)
        self._prepare()
        programs = _programs(ports, {f"{name.upper()}_BASE_URL": url for name, url in moved.items()})
        can_colour = supports_color() and not options["no_color"] and "NO_COLOR" not in os.environ
        is_coloured = can_colour or bool(options["force_color"])
        say = LabelledOutput([program.name for program in programs], is_coloured=is_coloured)
        supervisor = Supervisor(
            programs,
            say,
            watched=[settings.BASE_DIR / name for name in WATCHED] if reload else [],
            note_pids=lambda pids: describe_up(settings.VAR_DIR, urls=urls, ports=ports, pids=pids),
        )
        say.write(f"Starting {', '.join(ports)}, worker and beat …")
        code = supervisor.run(
            is_ready=ReadinessProbe(ports, urls, say),
            on_ready=lambda: say.write(
                ready_block(urls, seconds=time.monotonic() - started, in_all=seconds_since_start())
            ),
        )
        say.write("Stopped." if code == 0 else f"Stopped with code {code}.")
        sys.exit(code)

    def _prepare(self) -> None:
        database = settings.DATABASES["default"]
        name = f"{database['ENGINE'].rpartition('.')[2]} {database['NAME']}"
        try:
            with waiting(self.stdout, f"Migrating {name} …"):
                call_command("migrate", verbosity=0, interactive=False)
            with waiting(self.stdout, "Seeding plans, demo accounts and their history …"):
                call_command("seed", stdout=self.stdout)
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}".strip().partition("\n")[0]) from error
        connections.close_all()


class LabelledOutput:
    """Writes lines of several programs, each labelled with its program's name; thread-safe."""

    def __init__(self, names: Sequence[str], *, is_coloured: bool) -> None:
        self.lock = Lock()
        self.width = max(len(name) for name in names)
        self.colours = dict(zip(names, COLOURS, strict=False)) if is_coloured else {}
        self.written_at = time.monotonic()

    def seconds_quiet(self) -> float:
        """How long ago the last line was written."""
        return time.monotonic() - self.written_at

    def __call__(self, name: str, line: str) -> None:
        label = f"{name:>{self.width}} │"
        colour = self.colours.get(name)
        self.write(f"{colorize(label, fg=colour) if colour else label} {line}")

    def write(self, text: str) -> None:
        with self.lock:
            try:
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
            except OSError:  # the terminal is closed, or `| tee` has ended: the programs are to be stopped all the same
                discard_output()
            self.written_at = time.monotonic()


class ReadinessProbe:
    """Whether every service has answered ``/health`` once, and worker and beat have recorded a heartbeat.

    Those two need the broker, which may be unavailable: after ``BACKGROUND_PATIENCE`` they are not waited for. Then it
    waits, for ``QUIET_PATIENCE_SECONDS`` at most, until the programs write nothing: what is said next stays on the screen.
    """

    def __init__(self, ports: Mapping[str, int], urls: Mapping[str, str], output: LabelledOutput) -> None:
        self.ports = ports
        self.urls = urls
        self.output = output
        self.waiting_for = list(ports)
        self.since = timezone.now()
        self.running_since: float | None = None

    def __call__(self) -> bool:
        if not self._all_run():
            return False
        self.running_since = self.running_since or time.monotonic()
        is_late = time.monotonic() - self.running_since > QUIET_PATIENCE_SECONDS
        return is_late or (self.output.seconds_quiet() > QUIET_SECONDS and self._answers("webhooks", "/health/ready"))

    def _all_run(self) -> bool:
        self.waiting_for = [name for name in self.waiting_for if not self._answers(name)]
        if self.waiting_for:
            return False
        is_late = timezone.now() - self.since > BACKGROUND_PATIENCE
        return is_late or Heartbeat.objects.names_since(self.since) >= BACKGROUND

    def _answers(self, name: str, path: str = "/health") -> bool:
        connection = HTTPConnection(HOST, self.ports[name], timeout=HEALTH_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path, headers={"Host": urlsplit(self.urls[name]).netloc})
            return bool(json.load(connection.getresponse())["status"] == "ok")
        except (OSError, HTTPException, ValueError, KeyError):
            return False
        finally:
            connection.close()


def _port_base(given: int | None) -> int | None:
    """``--port-base``, else the last one of this var folder, unless a service's address is set."""
    is_set = any(env.is_set(f"{name.upper()}_BASE_URL") for name in settings.SERVICE_PORTS)
    return given if given is not None or is_set else remembered_port_base(settings.VAR_DIR)


def _places(port_base: int | None) -> tuple[dict[str, int], dict[str, str]]:
    """Return the port of each service, and the URLs that ``--port-base`` moves."""
    if port_base is None:
        return dict(settings.SERVICE_PORTS), {}
    try:
        return ports_from_base(port_base), urls_from_base(port_base)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _claim_var_dir() -> None:
    try:
        claim_up(settings.VAR_DIR)
    except AlreadyRunning as other:
        where = f" at {other.run['urls']['product']} (process {other.run['pid']})" if other.run else ""
        raise CommandError(
            f"`up` already runs on {settings.VAR_DIR}{where}: end it first, "
            "or give this one a folder of its own with SAAS_VAR_DIR."
        ) from other


def _require_free(ports: Mapping[str, int]) -> None:
    taken = []
    for name, port in ports.items():
        with suppress(OSError):
            socket.create_connection(("localhost", port), timeout=HEALTH_TIMEOUT_SECONDS).close()
            taken.append(f"{port} ({name})")
    if taken:
        noun, verb = ("Port", "is") if len(taken) == 1 else ("Ports", "are")
        raise CommandError(
            f"{noun} {', '.join(taken)} {verb} in use by another program: end it, or move all four with --port-base."
        )
    for port in ports.values():
        _require_allowed(port)


def _require_allowed(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise CommandError(
                f"Port {port} cannot be listened on ({reason}): choose others with --port-base."
            ) from error


def _require_disk_space() -> None:
    free = shutil.disk_usage(settings.VAR_DIR).free
    if free < NEEDED_BYTES:
        raise CommandError(
            f"The disk is full: {settings.VAR_DIR} has {free // MEGABYTE} MB left of the {NEEDED_BYTES // MEGABYTE} MB needed; "
            "make room, or set SAAS_VAR_DIR to a folder on another disk."
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
