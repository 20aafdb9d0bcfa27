"""Handlers of the test's own."""

import pytest

from saas.webhook_events import dispatch
from saas.webhook_events.processing import claims


@pytest.fixture
def handle(monkeypatch):
    """Registers functions for event types, for this test only: ``handle("demo.*")(function)``."""
    monkeypatch.setattr(dispatch, "_handlers", dispatch._handlers.copy())
    return dispatch.handles


@pytest.fixture
def seen(handle):
    """The ids of the events that a handler of ``demo.*`` has acted on, in order."""
    ids = []

    @handle("demo.*")
    def note(event, data):
        ids.append(event.external_id)

    return ids


@pytest.fixture
def _customers_are_locked(monkeypatch):
    """Another worker holds the lock of every customer."""

    def refuse(lock_key):
        raise claims.LockUnavailable

    monkeypatch.setattr(claims, "acquire_customer_lock", refuse)
