"""What a worker does before it serves: load the application of its service. Nothing of Django is imported in the parent."""

import os
import signal
import sys
import traceback
from importlib import import_module
from typing import Any

from saas.server import state

_OF_THEIR_OWN = {"webhooks": "webhooks.rsgi"}
LOOK_SECONDS = (
    3.0  # at what it depends on; a database that says nothing by then may take longer, and the worker is not ready
)


def load_application(service: str) -> Any:
    """The RSGI application of ``service``.

    One that cannot be loaded ends the whole server, with the reason: it would fail again in every worker's replacement.
    """
    try:
        import_module("saas.wsgi")  # sets Django up
        application = import_module(_OF_THEIR_OWN.get(service, "saas.server.rsgi")).application
        import_module("saas.operations.readiness").monitor.keep_looking(LOOK_SECONDS)
        return application
    except BaseException as error:
        _end_the_server(error)
        sys.exit(1)


def _end_the_server(error: BaseException) -> None:
    shared = state.of_this_server()
    if shared is None or not shared.note_failed_boot():
        return  # another worker has told it
    if isinstance(error, SystemExit):
        sys.stderr.write(f"{error}\n")
    else:
        traceback.print_exception(error)
    sys.stderr.flush()
    os.kill(os.getppid(), signal.SIGTERM)
