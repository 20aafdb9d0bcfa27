"""What every door does with a plain delivery that has arrived whole: verify, store, answer. How it waits is the writer's."""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from saas import context
from saas.api.addresses import address_behind
from saas.api.metrics import note_answer
from saas.api.middleware import request_context
from saas.api.problems import Problem, from_django
from saas.webhook_events import actions
from saas.webhook_events.actions import Receipt
from saas.webhook_events.deliveries import KEPT_HEADERS, Delivery
from saas.webhook_events.signatures import BadSignature
from webhooks.door.answers import Answer
from webhooks.door.plain import PATH, PlainHeaders
from webhooks.door.writer import Outcome, Told
from webhooks.intake import receipt_json

logger = logging.getLogger(__name__)

ROUTE = PATH[1:]
_KEPT_HEADERS = [name.lower().encode() for name in KEPT_HEADERS]
_JSON = (b"content-type", b"application/json")


class Storing(Protocol):
    def store(self, delivery: Delivery, request: context.Context, tell: Told) -> None:
        """``tell`` is called with the delivery's receipt, once it is committed, or with what went wrong."""


class Receiver:
    def __init__(self, writer: Storing) -> None:
        self._writer = writer

    def accept(self, peer: str, headers: PlainHeaders, body: bytes, reply: Callable[[Answer], object]) -> bool:
        """Answer with a 202 after the commit, else with the problem document that Django's view would give; the usual
        headers are the caller's to add. False, and nothing is done, if the signature is not good."""
        started = time.perf_counter()
        try:
            actions.verify(headers[b"stripe-signature"].decode("latin-1"), body)
        except BadSignature:
            return False
        request = _context(peer, headers)
        kept = _kept(*map(headers.get, _KEPT_HEADERS))

        def tell(outcome: Outcome) -> None:
            answer = _failure(outcome, request) if isinstance(outcome, Exception) else _receipt(outcome)
            note_answer("POST", ROUTE, answer.status, time.perf_counter() - started)
            answer.headers.append((b"x-request-id", request.request_id.encode()))
            reply(answer)

        try:
            self._writer.store(Delivery.of(body, headers=kept, address=request.address), request, tell)
        except Exception as error:
            tell(error)
        return True


def refusal(method: str, route: str, peer: str, headers: PlainHeaders, problem: Callable[[], Problem]) -> Answer:
    """The answer to a request that nobody looks at, because its body does not come or there is no room for it."""
    with context.entered(_context(peer, headers)) as request:
        answer = Answer.of(problem())
    note_answer(method, route, answer.status, 0.0)
    answer.headers.append((b"x-request-id", request.request_id.encode()))
    return answer


def body_did_not_arrive() -> Problem:
    return Problem(400, detail="The body did not arrive.")


def _receipt(receipt: Receipt) -> Answer:
    return Answer(202, [_JSON], receipt_json(receipt))


def _failure(error: Exception, request: context.Context) -> Answer:
    with context.entered(request):
        if problem := from_django(error):
            return Answer.of(problem)
        logger.error("intake_failed", exc_info=error)
        return Answer.of(Problem(500))


@lru_cache(maxsize=64)  # the provider's are always the same
def _kept(*values: bytes | None) -> dict[str, str]:
    return {name: value.decode("latin-1") for name, value in zip(KEPT_HEADERS, values, strict=True) if value}


def _context(peer: str, headers: PlainHeaders) -> context.Context:
    address = address_behind(peer, headers.get(b"x-forwarded-for", b"").decode("latin-1"))
    claimed_id = headers.get(b"x-request-id", b"").decode("latin-1")
    return request_context(claimed_id, address, headers.get(b"user-agent", b"").decode("latin-1"))
