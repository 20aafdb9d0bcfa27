"""The webhooks service with the intake's short path in front, in the test's own process, thread and transaction."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import connections

from saas.testing.servers.rsgi import RSGIClient, executor_on_test_connection


class ShortPathClient(RSGIClient):
    """The same with the intake's short path in front, which writes through the test's own connection, too."""

    def _application(self, thread: Executor) -> Any:
        from webhooks.intake.short_path import ShortPath

        return ShortPath(super()._application(thread), batch_writer_in_transaction(thread))


class TransactionConnection:
    """Stands for the writer's connection to PostgreSQL: runs its statement in the test's own transaction."""

    prepare_threshold = None

    def __init__(self, thread: Executor) -> None:
        self._thread = thread
        self.pgconn = SimpleNamespace(finish=lambda: None)

    async def execute(self, statement: str, parameters: Any, *, prepare: bool) -> Any:
        rows = await asyncio.get_running_loop().run_in_executor(self._thread, _fetched, statement, parameters)

        async def fetchall() -> Any:
            return rows

        return SimpleNamespace(fetchall=fetchall)

    async def close(self) -> None:
        pass


def _fetched(statement: str, parameters: Any) -> Any:
    from django.db import transaction

    from saas.database.prepared_queries import prepared_cursor

    with transaction.atomic(), prepared_cursor(connections["default"]) as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def batch_writer_in_transaction(thread: Executor) -> Any:
    from webhooks.intake.batch_writer import BatchWriter

    async def connect() -> Any:
        return TransactionConnection(thread)

    return BatchWriter(connect, answer_seconds=10)


@contextmanager
def intake_thread() -> Iterator[Executor]:
    """A thread that sees the transaction of the test. The intake believes that it commits what it stores: no worker is
    told."""
    from saas.webhook_events.tasks import notifier

    with executor_on_test_connection() as thread, patch.object(notifier, "notify"):
        yield thread
