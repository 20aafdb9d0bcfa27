"""What a worker does before it serves: load the application of its service. Nothing of Django is imported in the parent."""

import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

from saas.server import shared_state

_OF_THEIR_OWN = {"webhooks": "webhooks.rsgi"}
# At what it depends on. A database that says nothing by then may take longer, and the worker is not ready.
FIRST_CHECKS_SECONDS = 3.0


def load_application(service: str) -> Any:
    """The RSGI application of ``service``.

    One that cannot be loaded ends the whole server, with the reason: it would fail again in every worker's replacement.
    """
    _forget_the_parents_signals()
    try:
        import_module("saas.wsgi")  # sets Django up
        application = import_module(_OF_THEIR_OWN.get(service, "saas.server.rsgi")).application
        import_module("saas.operations.readiness").monitor.poll_permanently(FIRST_CHECKS_SECONDS)
        return application
    except BaseException as error:
        _end_the_server(error)
        sys.exit(1)


def _forget_the_parents_signals() -> None:
    """A fork inherits its handlers, which mean nothing here: until granian sets the worker's own, the usual end is right."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _end_the_server(error: BaseException) -> None:
    shared = shared_state.current_shared_state()
    if shared is None or not shared.record_failed_boot():
        return  # another worker has told it
    if isinstance(error, SystemExit):
        sys.stderr.write(f"{error}\n")
    else:
        traceback.print_exception(error)
    sys.stderr.flush()
    os.kill(os.getppid(), signal.SIGTERM)
