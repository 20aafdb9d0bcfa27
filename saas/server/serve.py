"""``python manage.py serve product``: run one service on granian, as the image does for all four.

Configured by ``BIND`` (host:port, or unix:/path), ``WEB_CONCURRENCY`` (processes), ``WEB_THREADS`` (in each) and
``DRAIN_SECONDS``; ``--port`` and ``--workers`` override them. This process never sets Django up: it starts the workers,
replaces those that die or hang, and stops them. Send signals to it alone.
"""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from saas import env
from saas.server import shared_state, watchdog
from saas.server.bootstrap import ROOT
from saas.server.worker_startup import load_application

SERVICES = ("product", "admin_ops", "parity", "webhooks")
BACKLOG = 2048
MAX_CONNECTIONS = 4096  # open at a time in each worker (granian's "backpressure"); further ones wait to be accepted
HEADER_TIMEOUT_MILLISECONDS = 10_000
HEADER_BUFFER_BYTES = 65_536
KILL_TIMEOUT_SECONDS = 20  # for requests under way after the drain; both together stay under an orchestrator's 30 s


class Address(NamedTuple):
    """Where to listen: on ``host`` and ``port`` or, if ``path`` is given, on a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="manage.py serve", description="Run one service as production does.")
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--port", type=_port, help="Overrides the port of BIND (0.0.0.0:8000).")
    parser.add_argument("--workers", type=_positive, help="Processes; overrides WEB_CONCURRENCY (2).")
    parser.add_argument("--settings", help="Another settings module than the service's own.")
    options = parser.parse_args(arguments)
    env.load_file(ROOT / ".env")
    address = _address(options.port)
    workers = options.workers or _count("WEB_CONCURRENCY", "2")
    trusted = env.variable("TRUSTED_PROXY_CIDRS").replace(" ", "").split(",")
    if address.path and env.variable("SAAS_ENV") == "production" and "unix" not in trusted:
        # A unix socket has no peer address: without a trusted proxy all callers would share an empty one.
        sys.exit("TRUSTED_PROXY_COUNT and TRUSTED_PROXY_CIDRS=unix must be set behind a socket in production.")
    _require_free(address)
    settings_module = options.settings or f"saas.settings.{options.service}"
    os.environ |= {"DJANGO_SETTINGS_MODULE": settings_module, "SAAS_PROCESS": "service"}
    os.environ["BIND"] = f"unix:{address.path}" if address.path else f"{address.host}:{address.port}"
    os.environ["WEB_THREADS"] = str(_count("WEB_THREADS", "48"))  # without the quotes that it may have
    drain_seconds = _seconds("DRAIN_SECONDS", "5")
    with shared_state.create_shared_state() as shared:
        _serve(_server(address, workers), options.service, shared, drain_seconds)
        if shared.has_failed_to_boot():
            sys.exit(1)


def _server(address: Address, workers: int) -> Any:
    address_options: dict[str, Any] = (
        {"uds": Path(address.path)} if address.path else {"address": address.host, "port": address.port}
    )
    return Granian(
        "saas",  # the loader below finds the application
        **address_options,
        interface=Interfaces.RSGI,
        workers=workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_MILLISECONDS, max_buffer_size=HEADER_BUFFER_BYTES
        ),
        websockets=False,
        backlog=BACKLOG,
        backpressure=MAX_CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_TIMEOUT_SECONDS,
        log_level=LogLevels.warning,
        log_access=False,  # saas.api.middleware writes a line for each request
    )


def _serve(server: Any, service: str, shared: shared_state.SharedState, drain_seconds: float) -> None:
    outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # nohup

    def install_signal_handlers() -> None:
        handler = ShutdownHandler(server, shared, drain_seconds)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, handler)
        if outlives_terminal:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        watchdog.start_watchdog(shared)

    server.on_startup(install_signal_handlers)  # after granian's own
    server.serve(target_loader=partial(load_application, service), wrap_loader=False)


class ShutdownHandler:
    """Handles SIGTERM, SIGHUP and SIGINT: graceful shutdown.

    The server goes on answering for ``drain_seconds`` while ``/health/ready`` is 503, so that proxies in front stop sending
    requests. A second signal, Ctrl-C or a failed boot stops it at once.
    """

    def __init__(self, server: Any, shared: shared_state.SharedState, drain_seconds: float) -> None:
        self._server = server
        self._shared = shared
        self._drain_seconds = drain_seconds
        self._pid = os.getpid()

    def __call__(self, number: int, _: object) -> None:
        if os.getpid() != self._pid:  # a worker that was just forked and has not reset its handlers yet
            os._exit(0)
        may_wait = number != signal.SIGINT and not self._shared.is_draining() and not self._shared.has_failed_to_boot()
        if self._drain_seconds and may_wait:
            self._shared.start_draining()
            timer = Timer(self._drain_seconds, self._server.signal_handler_interrupt)
            timer.daemon = True
            timer.start()
        else:
            self._server.signal_handler_interrupt()


# ── Options ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: name one from 1 to 65535")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


def _address(port: int | None) -> Address:
    bind = env.variable("BIND") or "0.0.0.0:8000"
    if bind.startswith("unix:") and port is None:
        return Address(path=bind.removeprefix("unix:"))
    host, _, digits = ("0.0.0.0:8000" if bind.startswith("unix:") else bind).rpartition(":")
    try:
        return Address(host.strip("[]") or "0.0.0.0", port or _port(digits))  # noqa: S104
    except argparse.ArgumentTypeError as error:
        sys.exit(f"BIND must be host:port or unix:/path; {error}.")


def _count(name: str, default: str) -> int:
    text = env.variable(name) or default
    try:
        return _positive(text)
    except argparse.ArgumentTypeError as error:
        sys.exit(f"{name}: {error}.")


def _seconds(name: str, default: str) -> float:
    text = env.variable(name) or default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        sys.exit(f"{name}: {text!r} is not a number of seconds.")
    return seconds


# ── Checks before it listens ────────────────────────────────────────────────────────────────────────────────────────


def _require_free(address: Address) -> None:
    """Exit if the address is in use: granian would silently share a port, and fails on a socket file of an earlier run."""
    family = socket.AF_UNIX if address.path else socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            if address.path:
                _remove_stale_socket(probe, Path(address.path))
            else:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address.host, address.port))
        except OSError as error:
            sys.exit(
                f"{address.path or f'{address.host}:{address.port}'} cannot be listened on: {error.strerror or error}."
            )


def _remove_stale_socket(probe: socket.socket, path: Path) -> None:
    if not path.is_socket():
        if path.exists():
            raise OSError("there is a file that is no socket")
        return
    if probe.connect_ex(str(path)) == 0:
        raise OSError("another server listens there")
    path.unlink()
