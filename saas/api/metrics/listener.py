"""``METRICS_BIND``: metrics on an address of their own, for a Prometheus that knows servers by address, not by host name.

Every process that can reach a loopback address may read them; on any other address only ``INTERNALS_TOKEN`` opens them.
"""

import errno
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from django.db import connections
from prometheus_client import CONTENT_TYPE_LATEST

from saas.api.metrics import render_metrics
from saas.api.middleware import is_internals_token

logger = logging.getLogger(__name__)

RETRY_SECONDS, RETRY_AFTER_ERROR_SECONDS = 1.0, 30.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _IPv6Server(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds that a client may take to ask

    def log_message(self, *_: object) -> None:
        """Log nothing: it is asked every few seconds."""


def listen_permanently(bind: str) -> None:
    """Serve metrics at ``bind`` (``host:port``) from a thread. Of the workers of a server one does; if it ends, another."""
    threading.Thread(target=_listen, args=[bind], name="metrics-listener", daemon=True).start()


def _listen(bind: str) -> None:
    host, _, port = bind.rpartition(":")
    kind = _IPv6Server if ":" in host else _Server
    while True:
        try:
            server = make_server(host.strip("[]"), int(port), application, kind, _Handler)
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE  # by another worker
            if not is_taken:
                logger.warning("metrics_do_not_listen: %s: %s", bind, error)
            time.sleep(RETRY_SECONDS if is_taken else RETRY_AFTER_ERROR_SECONDS)
        else:
            logger.info("metrics_listen", extra={"address": bind})
            server.serve_forever()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``GET /metrics``; everything else, and everybody else, is 404."""
    is_asked = environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == "/metrics"
    if not is_asked or not _may_read(environ):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Not found.\n"]
    try:
        body = render_metrics()
    finally:
        connections.close_all()  # each request has a thread of its own
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
    return [body]


def _may_read(environ: dict[str, Any]) -> bool:
    bound_to = settings.METRICS_BIND.rpartition(":")[0].strip("[]")
    return _is_loopback(bound_to) or is_internals_token(environ.get("HTTP_AUTHORIZATION", ""))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
