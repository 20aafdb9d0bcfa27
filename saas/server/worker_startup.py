"""Load the application of a service in a worker. The parent process imports nothing of Django."""

import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

from saas.operations import processes
from saas.server import shared_state

_OWN_APPLICATIONS = {"webhooks": "webhooks.rsgi"}
STARTUP_CHECKS_SECONDS = 3.0  # longest wait for the first readiness checks; without them the worker is not ready


def load_application(service: str) -> Any:
    """Return the RSGI application of ``service``.

    One that cannot be loaded stops the whole server: it would fail again in every replacement of the worker.
    """
    # A fork inherits the parent's handlers, and granian sets the worker's own later. Under nohup SIGHUP stays ignored.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        import_module("saas.wsgi")  # sets Django up
        application = import_module(_OWN_APPLICATIONS.get(service, "saas.server.rsgi")).application
        import_module("saas.operations.multiprocess_metrics.reading").sweep_ended_processes()
        _listen_for_prometheus()
        import_module("saas.operations.rotation.process_reports").report_permanently(service)
        _record(service)
        import_module("saas.operations.readiness").monitor.poll_permanently(STARTUP_CHECKS_SECONDS)
        return application
    except BaseException as error:
        _stop_server(error)
        sys.exit(1)


def _record(service: str) -> None:
    """In development: let ``doctor`` tell this process from another copy's."""
    settings = import_module("django.conf").settings
    port = os.environ.get("BIND", "").rpartition(":")[2]
    if not settings.PRODUCTION and port.isdecimal():
        processes.record_service(settings.VAR_DIR, service=service, port=int(port))


def _listen_for_prometheus() -> None:
    if bind := import_module("django.conf").settings.METRICS_BIND:
        import_module("saas.api.metrics.listener").listen_permanently(bind)


def _stop_server(error: BaseException) -> None:
    shared = shared_state.current_shared_state()
    if shared is None or not shared.record_failed_boot():
        return  # another worker has reported it
    if isinstance(error, SystemExit):
        sys.stderr.write(f"{error}\n")
    else:
        traceback.print_exception(error)
    sys.stderr.flush()
    os.kill(os.getppid(), signal.SIGTERM)
