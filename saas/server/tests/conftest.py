"""A bridge in the test's own process, thread and transaction."""

import pytest

from saas.testing.servers.rsgi import RSGIClient, executor_on_test_connection


@pytest.fixture
def bridge(db):
    with executor_on_test_connection() as thread:
        yield RSGIClient(thread)
