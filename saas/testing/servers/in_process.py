"""A service in the test's own process, for what speaks HTTP and knows no Django: behind ``httpx``, or on a port."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections

from saas.testing.clients import service_settings

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def service_application(service: str) -> Application:
    """The WSGI application of ``service`` as its own settings module would run it."""
    handler = WSGIHandler()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with service_settings(service):
            return handler(environ, start_response)

    return answer


@contextmanager
def keep_test_connection_open() -> Iterator[None]:
    """Requests are answered in the test's own transaction, whose connection Django would close at each request's end."""
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
    """Carries a client's requests to ``service``; a crash answers 500."""
    return _InThisTransaction(app=service_application(service), raise_app_exceptions=False)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *words: Any) -> None:
        pass


@contextmanager
def serve_in_thread(service: str) -> Iterator[str]:
    """The address of ``service`` on a port of its own, for other programs, in a thread: what it asks the database for,
    it asks outside the test's transaction."""
    with _served(service_application(service)) as address:
        yield address


@contextmanager
def serve_in_test_transaction(service: str) -> Iterator[str]:
    """Like ``listening``, but inside the test's transaction: the test must not use the database meanwhile."""
    own = connections["default"]
    answer = service_application(service)

    def answer_here(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connections["default"] = own  # of the serving thread
        return answer(environ, start_response)

    own.inc_thread_sharing()
    try:
        with keep_test_connection_open(), _served(answer_here) as address:
            yield address
    finally:
        own.dec_thread_sharing()


@contextmanager
def _served(app: Application) -> Iterator[str]:
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
