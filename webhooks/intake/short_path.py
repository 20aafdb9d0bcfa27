"""The short path for signed deliveries: without Django's middleware, many deliveries in one statement. PostgreSQL only.

Every other request is answered by Django: another method, an ``Origin``, an unknown host, a bad signature, bytes that are no
event, a repeat. Each rule stands once, in the view, and both paths give the same answers.
"""

import asyncio
import logging
import time
from functools import cached_property, lru_cache, partial
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host

from saas import request_context
from saas.api.client_address import resolve_client_address
from saas.api.metrics import record_response
from saas.api.middleware import new_request_context
from saas.api.problems import Problem, problem_from_exception
from saas.server.request_head import RequestScope, is_too_large, peer_address
from saas.server.responses import BufferedResponse
from saas.server.rsgi_adapter import RSGIAdapter
from saas.webhook_events import actions
from saas.webhook_events.event_storage import KEPT_HEADERS, IncomingEvent
from saas.webhook_events.signatures import BadSignature
from webhooks.intake.batch_writer import BatchWriter
from webhooks.intake.view import STRIPE_PATH, STRIPE_ROUTE, receipt_json

logger = logging.getLogger(__name__)

# From browsers, and for bodies of unknown length: these requests are left to Django.
_UNUSUAL = {"origin", "sec-fetch-site", "transfer-encoding", "expect", "upgrade"}
_SENT_NAMES = {name: name.lower() for name in KEPT_HEADERS}


class ShortPath:
    """An RSGI application in front of ``bridge``."""

    def __init__(self, bridge: RSGIAdapter, writer: BatchWriter) -> None:
        self._bridge = bridge
        self._writer = writer

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._bridge.__rsgi_init__(loop)
        _ = self._usual_headers  # computed before the first delivery

    @cached_property
    def _usual_headers(self) -> list[tuple[str, str]]:
        return self._bridge.middleware_headers("application/json")

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self._writer.close())
        self._bridge.__rsgi_del__(loop)

    async def __rsgi__(self, scope: RequestScope, protocol: Any) -> None:
        headers = _headers_of_a_delivery(scope)
        if headers is None:
            await self._bridge.__rsgi__(scope, protocol)
            return
        body = await self._bridge.read_body(scope, protocol)
        if body is not None:
            try:
                if not await self._accept(scope, headers, body, protocol):
                    await self._bridge.answer(scope, protocol, body)
            finally:
                self._bridge.release_body(body)

    async def _accept(self, scope: RequestScope, headers: dict[str, str], body: bytes, protocol: Any) -> bool:
        """Store the delivery, and answer once it is committed. Return False, without an answer, if Django has to answer."""
        started = time.perf_counter()
        try:
            actions.verify_signature(headers["stripe-signature"], body)
        except BadSignature:
            return False
        forwarded = headers.get("x-forwarded-for", ""), headers.get("forwarded", "")
        address = resolve_client_address(peer_address(scope), *forwarded)
        request = new_request_context(headers.get("x-request-id", ""), address, headers.get("user-agent", ""))
        kept = {name: headers.get(sent, "") for name, sent in _SENT_NAMES.items()}
        delivery = IncomingEvent.parse(body, headers=kept, address=request.address)
        if delivery.envelope is None:
            return False
        try:
            with request_context.span("webhook.delivery", request_id=request.request_id):
                is_new = await self._writer.store(delivery, request)
        except Exception as error:
            await self._bridge.refuse(scope, protocol, partial(_failure, error), close=False)
            return True
        if is_new:
            record_response("POST", STRIPE_ROUTE, 202, time.perf_counter() - started)
            headers_sent = [*self._usual_headers, ("x-request-id", request.request_id)]
            body_sent = receipt_json(actions.Receipt(delivery.external_id, True))
            self._bridge.send(protocol, BufferedResponse(202, headers_sent, body_sent))
        return is_new


def _headers_of_a_delivery(scope: RequestScope) -> dict[str, str] | None:
    if scope.path != STRIPE_PATH or scope.method != "POST" or scope.query_string or scope.authority:
        return None
    given = scope.headers
    sent = given.items()
    headers = dict(sent)
    is_delivery = (
        "stripe-signature" in headers
        and len(headers) == len(sent) == len(given.keys())  # none is repeated, none was dropped
        and headers.keys().isdisjoint(_UNUSUAL)
        and not is_too_large(sent)
        and _is_our_host(headers.get("host", ""), tuple(settings.ALLOWED_HOSTS))
    )
    return headers if is_delivery else None


@lru_cache(maxsize=64)
def _is_our_host(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def _failure(error: Exception) -> HttpResponse:
    if problem := problem_from_exception(error):
        return problem
    logger.error("intake_failed", exc_info=error)
    return Problem(500)


async def connect() -> "psycopg.AsyncConnection[Any]":
    """Open a connection with the options and time limits of Django's connections."""
    options = connections["default"].get_connection_params()
    wanted = {name: value for name, value in options.items() if name not in {"cursor_factory", "context"}}
    return await psycopg.AsyncConnection.connect(autocommit=True, **wanted)
