"""Load the application of a service in a worker. The parent process imports nothing of Django."""

import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

from saas.server import shared_state

_OWN_APPLICATIONS = {"webhooks": "webhooks.rsgi"}
FIRST_CHECKS_SECONDS = 3.0  # longest wait for the first readiness checks; without them the worker is not ready


def load_application(service: str) -> Any:
    """Return the RSGI application of ``service``.

    One that cannot be loaded stops the whole server: it would fail again in every replacement of the worker.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # a fork inherits the parent's handlers; granian sets the worker's later
    try:
        import_module("saas.wsgi")  # sets Django up
        application = import_module(_OWN_APPLICATIONS.get(service, "saas.server.rsgi")).application
        import_module("saas.operations.readiness").monitor.poll_permanently(FIRST_CHECKS_SECONDS)
        return application
    except BaseException as error:
        _stop_server(error)
        sys.exit(1)


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
