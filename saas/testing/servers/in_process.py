"""Run a service in the test's own process for HTTP clients other than Django's: behind ``httpx``, or on a port."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections

from saas.testing.servers.in_thread import served_in_thread
from saas.testing.service_settings import service_settings

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def service_application(service: str) -> Application:
    """Return the WSGI application of ``service``, run as by its own settings module."""
    handler = WSGIHandler()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with service_settings(service):
            return handler(environ, start_response)

    return answer


@contextmanager
def keep_test_connection_open() -> Iterator[None]:
    """Answer requests in the test's own transaction, whose connection Django would close at the end of each."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


class _InThisTransaction(httpx.WSGITransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with keep_test_connection_open():
            response = super().handle_request(request)
            response.read()
            response.close()
            return response


def service_transport(service: str) -> httpx.BaseTransport:
    """Return an ``httpx`` transport to ``service``; a crash answers 500."""
    return _InThisTransaction(app=service_application(service), raise_app_exceptions=False)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *words: Any) -> None:
        pass


@contextmanager
def serve_in_thread(service: str) -> Iterator[str]:
    """Yield the address of ``service``, served by a thread whose queries run outside the test's transaction."""
    with _served(service_application(service)) as address:
        yield address


@contextmanager
def serve_in_test_transaction(service: str) -> Iterator[str]:
    """Like ``serve_in_thread``, but inside the test's transaction: the test must not use the database meanwhile."""
    own = connections["default"]
    answer = service_application(service)

    def answer_here(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connections["default"] = own  # for the serving thread
        return answer(environ, start_response)

    own.inc_thread_sharing()
    try:
        with keep_test_connection_open(), _served(answer_here) as address:
            yield address
    finally:
        own.dec_thread_sharing()


@contextmanager
def _served(app: Application) -> Iterator[str]:
    with served_in_thread(make_server("127.0.0.1", 0, app, handler_class=_Quiet)) as server:
        yield f"http://127.0.0.1:{server.server_port}"
