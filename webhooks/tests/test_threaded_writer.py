"""Threads that leave their deliveries with one that writes them."""

import os
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from django.db import connection

from saas.context import Context
from saas.testing.doors import thread_of_the_test
from saas.testing.inbox import encoded, event
from saas.testing.stack import eventually
from saas.webhook_events.actions import Receipt
from saas.webhook_events.deliveries import Delivery
from saas.webhook_events.models import WebhookEvent
from webhooks.door import threaded_writer, writer
from webhooks.door.threaded_writer import ThreadedWriter, WriterDied
from webhooks.door.writer import write


def delivery(number):
    return Delivery.of(encoded(event(f"evt_{number}")), headers={})


def store(writing, number):
    told = []
    writing.store(delivery(number), Context(), told.append)
    return told[0]


class Company:
    """A writer whose first statement is held up until all others wait for it, which is what this is for."""

    def __init__(self, written):
        self.batches, self.outcomes = [], {}
        self._written, self._begun, self._may_end = written, threading.Event(), threading.Event()
        self.writing = ThreadedWriter(self._write)

    def _write(self, batch):
        self.batches.append(len(batch))
        self._begun.set()
        self._may_end.wait(5)
        return self._written(batch)

    def store_all(self, numbers):
        first, *others = [threading.Thread(target=self._store, args=[number]) for number in numbers]
        first.start()
        assert self._begun.wait(5)
        for other in others:
            other.start()
        eventually(lambda: self.writing._thread._left_here.qsize() == len(others), 5)
        assert self.outcomes == {}  # nobody is answered before the commit
        self._may_end.set()
        for thread in (first, *others):
            thread.join(5)
        return [self.outcomes[number] for number in numbers]

    def _store(self, number):
        self.outcomes[number] = store(self.writing, number)


def receipts(batch):
    return [Receipt(order.delivery.external_id, True) for order in batch]


def test_what_comes_during_a_commit_is_one_statement_and_each_gets_its_own_receipt():
    company = Company(receipts)

    told = company.store_all(range(8))

    assert company.batches == [1, 7]
    assert [receipt.event_id for receipt in told] == [f"evt_{number}" for number in range(8)]


@pytest.mark.parametrize(("name", "bound"), [("MOST_TOGETHER", 3), ("MOST_BYTES_TOGETHER", 3 * len(delivery(1).body))])
def test_a_statement_has_a_bound(monkeypatch, name, bound):
    monkeypatch.setattr(writer, name, bound)
    company = Company(receipts)

    company.store_all(range(8))

    assert company.batches == [1, 3, 3, 1]


def test_one_that_the_database_does_not_take_fails_alone(db, evt_2_refused):
    with thread_of_the_test() as thread:
        told = Company(lambda batch: thread.submit(write, batch).result()).store_all(range(4))

    assert [type(outcome).__name__ for outcome in told] == ["Receipt", "Receipt", "DataError", "Receipt"]
    assert set(WebhookEvent.objects.values_list("external_id", flat=True)) == {"evt_0", "evt_1", "evt_3"}


@contextmanager
def writing_by_itself():
    """With a connection of its own, which goes with its thread."""

    def write_until_told(batch):
        if batch[0].delivery.external_id == "evt_0":
            raise SystemExit
        return write(batch)

    writing = ThreadedWriter(write_until_told)
    try:
        yield writing
    finally:
        store(writing, 0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_meanwhile_is_replaced_and_nobody_notices():
    with writing_by_itself() as writing:
        first = store(writing, 1)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        second = store(writing, 2)

    assert (first, second) == (Receipt("evt_1", True), Receipt("evt_2", True))


# ── Writers that end ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [RuntimeError("nobody expected this"), SystemExit()], ids=["raises", "ends"])
def test_a_writer_that_ends_leaves_nobody_waiting_and_the_next_finds_another(error):
    def failing(batch):
        if batch[0].delivery.external_id == "evt_1":
            raise error
        return receipts(batch)

    writing = ThreadedWriter(failing)

    assert isinstance(store(writing, 1), WriterDied)
    assert store(writing, 2) == Receipt("evt_2", True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_ends_gives_its_connection_back_to_the_pool(monkeypatch):
    given_back = []
    own = SimpleNamespace(close=lambda: given_back.append(threading.current_thread().name))
    monkeypatch.setattr(threaded_writer, "connection", own)

    store(ThreadedWriter(lambda batch: 1 / 0), 1)

    assert given_back == ["intake-writer"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_those_who_waited_behind_it_are_answered_too(monkeypatch):
    monkeypatch.setattr(threaded_writer, "_LOOK_SECONDS", 0.05)

    told = Company(lambda batch: 1 / 0).store_all(range(3))

    assert {type(outcome) for outcome in told} == {WriterDied}


def test_a_forked_process_writes_with_a_thread_of_its_own():
    writing = ThreadedWriter(receipts)
    store(writing, 1)

    child = os.fork()
    if not child:
        os._exit(0 if store(writing, 2) == Receipt("evt_2", True) else 1)

    ended = []
    eventually(lambda: ended.append(os.waitpid(child, os.WNOHANG)) or ended[-1][0] == child, 10)
    assert ended[-1][1] == 0
    assert store(writing, 3) == Receipt("evt_3", True)
