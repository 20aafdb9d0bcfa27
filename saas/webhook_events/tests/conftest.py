"""Handlers of the test's own."""

import pytest

from saas.webhook_events import dispatch


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
