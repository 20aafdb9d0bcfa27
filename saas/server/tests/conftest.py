"""A bridge in the test's own process, thread and transaction."""

import pytest

from saas.testing.servers.rsgi import BridgeClient, thread_on_this_connection


@pytest.fixture
def bridge(db):
    with thread_on_this_connection() as thread:
        yield BridgeClient(thread)
