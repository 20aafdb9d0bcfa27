"""Handlers of the test's own, and the service's doors."""

import pytest
from django.db import DataError

from saas.testing.clients import ServiceClient
from saas.testing.doors import DoorClient, PlainClient, WireClient, thread_of_the_test
from saas.webhook_events import storing
from saas.webhook_events.tests.conftest import handle, seen

__all__ = ["handle", "seen"]


@pytest.fixture(params=["view", "plain", "fast", "wire"])
def door(request, db):
    """A client of the service: by way of Django's view alone, of the WSGI door before it, of the ASGI door, and of that
    door's short way off the socket."""
    if request.param == "view":
        yield ServiceClient("webhooks")
        return
    with thread_of_the_test() as thread:
        yield {"plain": PlainClient, "fast": DoorClient, "wire": WireClient}[request.param](thread)


@pytest.fixture
def evt_2_refused(monkeypatch):
    """The database does not take the event ``evt_2``, whoever comes with it."""
    insert = storing.insert

    def picky(rows):
        if any(row.external_id == "evt_2" for row in rows):
            raise DataError("no")
        return insert(rows)

    monkeypatch.setattr(storing, "insert", picky)
