"""The context of the current request, task or command: read by logs, audit events and the tasks that it starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from saas.ids import new_id


class Context(NamedTuple):
    """Unknown values are empty: ``address``, ``agent`` and ``device`` outside a request."""

    request_id: str = ""
    address: str = ""
    agent: str = ""
    user_id: str = ""  # the authenticated user
    impersonator: str = ""  # the member of staff who impersonates the user
    device: str = ""  # the cookie of a known device


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
