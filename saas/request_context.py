"""Who and what the current request, task or command is: read by logs, audit events and the tasks that it starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from saas.ids import new_id


class Context(NamedTuple):
    """What is not known is empty: ``address``, ``agent`` and ``device`` outside a request."""

    request_id: str = ""
    address: str = ""
    agent: str = ""
    user_id: str = ""  # who was found to ask
    impersonator: str = ""  # the member of staff who acts in the name of the request's customer
    device: str = ""  # the cookie by which a device is known that logged in before


_NONE = Context()
_current: ContextVar[Context] = ContextVar("saas_context", default=_NONE)


def current() -> Context:
    """The context of the running request or task; empty ids outside one."""
    return _current.get()


def new_request_id() -> str:
    """A request id of our own making."""
    return new_id("req")


@contextmanager
def use_context(context: Context) -> Iterator[Context]:
    """Run the block as ``context``."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def with_request_id(request_id: str) -> Context:
    """The current context under another request id."""
    return _current.get()._replace(request_id=request_id)


def set_user(user_id: str) -> None:
    """From here on the current request or task is this user's. ``use_context`` forgets it at its end."""
    _current.set(_current.get()._replace(user_id=user_id))
