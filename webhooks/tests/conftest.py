"""Handlers of the test's own, and the service's two doors."""

import pytest

from saas.testing.clients import ServiceClient
from saas.testing.doors import DoorClient, thread_of_the_test
from saas.webhook_events.tests.conftest import handle, seen

__all__ = ["handle", "seen"]


@pytest.fixture(params=["plain", "fast"])
def door(request, db):
    """A client of the service: by way of Django's view, and by way of the ASGI door."""
    if request.param == "plain":
        yield ServiceClient("webhooks")
        return
    with thread_of_the_test() as thread:
        yield DoorClient(thread)
