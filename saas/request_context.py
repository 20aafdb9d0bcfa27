"""The context of the current request, task or command: read by logs, traces, audit events and the tasks that it starts.

Spans in its trace are recorded with ``OTEL_ENDPOINT`` only (``saas.operations.telemetry``); without it ``span`` does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context as ContextVars
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from saas.ids import new_id

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


class Context(NamedTuple):
    """Unknown values are empty: ``address``, ``agent``, ``device`` and ``language`` outside a request."""

    request_id: str = ""
    address: str = ""
    agent: str = ""
    user_id: str = ""  # the authenticated user
    impersonator: str = ""  # the member of staff who impersonates the user
    device: str = ""  # the cookie of a known device
    language: str = ""  # the best of ours for the browser
    allows_old_reads: bool = False  # what it reads may be some seconds old (saas.database.replica)


_Item = TypeVar("_Item")
_NONE = Context()
_current: ContextVar[Context] = ContextVar("saas_context", default=_NONE)


def current() -> Context:
    """The context of the running request or task; empty ids outside one."""
    return _current.get()


def new_request_id() -> str:
    return new_id("req")


@contextmanager
def use_context(context: Context) -> Iterator[Context]:
    """Run the block as ``context``."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def set_user(user_id: str) -> None:
    """Set the user of the current context until ``use_context`` ends."""
    _current.set(_current.get()._replace(user_id=user_id))


def allow_old_reads() -> None:
    """Let the rest of the current request read from a replica, until it writes."""
    _current.set(_current.get()._replace(allows_old_reads=True))


def forbid_old_reads() -> None:
    if _current.get().allows_old_reads:
        _current.set(_current.get()._replace(allows_old_reads=False))


def keep_context(items: Iterable[_Item]) -> Iterator[_Item]:
    """Compute ``items`` in the current context, also after the request's answer has begun."""
    return _items_in(copy_context(), iter(items))


def _items_in(context: ContextVars, items: Iterator[_Item]) -> Iterator[_Item]:
    while (item := context.run(next, items, None)) is not None:
        yield item


# ── Traces ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_tracer: Tracer | None = None


def start_tracing(tracer: Tracer) -> None:
    """Record spans with ``tracer`` from now on."""
    global _tracer
    _tracer = tracer


@contextmanager
def span(name: str, **attributes: str | int) -> Iterator[None]:
    """Record how long the block takes, with ``attributes``. An exception marks the span as failed."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, attributes=attributes):
        yield


def annotate_span() -> None:
    """Add the request id of the current context to the span that is under way."""
    if _tracer is None:
        return
    from opentelemetry import trace

    trace.get_current_span().set_attribute("request_id", current().request_id)
