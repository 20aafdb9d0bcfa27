"""A connection of which Django believes what is not true is thrown away, and the next query works."""

import pytest
from django.db import connection, transaction

from saas.database import connections
from saas.operations.models import Heartbeat

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def believe_in_a_transaction() -> None:
    """As an exception does that lands in a COMMIT."""
    connection.ensure_connection()
    connection.set_autocommit(False)
    connection.in_atomic_block = True


def test_a_connection_left_in_a_transaction_by_mistake_is_replaced() -> None:
    believe_in_a_transaction()
    connection.close()
    with pytest.raises(Exception, match=r"closed|Cannot open a new connection"):
        Heartbeat.objects.count()

    assert connections.discard_irregular_connections() is True

    with transaction.atomic():
        assert Heartbeat.objects.count() == 0
    assert connection.get_autocommit() is True


def test_one_that_does_not_commit_by_itself_is_replaced() -> None:
    connection.ensure_connection()
    connection.set_autocommit(False)

    assert connections.discard_irregular_connections() is True
    assert connection.get_autocommit() is True


def test_one_that_is_as_it_should_be_is_kept() -> None:
    connection.ensure_connection()
    kept = connection.connection

    assert connections.discard_irregular_connections() is False
    assert connection.connection is kept
