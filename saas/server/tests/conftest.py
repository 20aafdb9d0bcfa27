"""A bridge in the test's own process, thread and transaction."""

import pytest

from saas.testing.intake_clients import BridgeClient, thread_of_the_test


@pytest.fixture
def bridge(db):
    with thread_of_the_test() as thread:
        yield BridgeClient(thread)
