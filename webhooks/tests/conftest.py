"""Handlers of the test's own, and the ways into the service's intake."""

import pytest

from saas.testing.clients import ServiceClient
from saas.testing.intake_clients import ShortPathClient, intake_thread
from saas.testing.servers.rsgi import RSGIClient
from saas.webhook_events.tests.conftest import handle, seen

__all__ = ["handle", "seen"]


@pytest.fixture(params=["view", "bridge", pytest.param("short", marks=pytest.mark.postgres)])
def intake(request, db):
    """A client of the service: by Django's view alone, by the server's bridge to it, with the short path in front."""
    if request.param == "view":
        yield ServiceClient("webhooks")
        return
    with intake_thread() as thread:
        yield {"bridge": RSGIClient, "short": ShortPathClient}[request.param](thread)
