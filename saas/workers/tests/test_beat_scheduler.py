"""Any number of beats sends each task once; a restart, a clock that steps and a broker that is away postpone nothing."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab, schedule
from django.db import connection

from saas.operations.models import Heartbeat, ProcessSecrets, ScheduledTask
from saas.testing.concurrency import run_concurrently
from saas.workers import beat_scheduler
from saas.workers.beat_scheduler import DatabaseScheduler, claim_slot, due_slot, release_slot

NOON = datetime(2026, 11, 28, 12, 0, 3, tzinfo=UTC)
EVERY_5_SECONDS, HOURLY, DAILY = schedule(timedelta(seconds=5)), schedule(3600.0), schedule(86_400.0)
AT_HALF_PAST_THREE = crontab(hour="3", minute="30")


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 28) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("plan", "claimed", "slot"),
    [
        (EVERY_5_SECONDS, at(12), None),
        (EVERY_5_SECONDS, at(11, 59, 55), at(12)),
        (EVERY_5_SECONDS, at(3), at(12)),  # nobody was there for hours: once
        (HOURLY, at(12), None),
        (HOURLY, at(11), at(12)),
        (DAILY, at(0), None),
        (DAILY, at(0, day=27), at(0)),
        (AT_HALF_PAST_THREE, at(3, 30), None),
        (AT_HALF_PAST_THREE, at(3, 31), None),
        (AT_HALF_PAST_THREE, at(3, 29), NOON),
        (AT_HALF_PAST_THREE, at(3, 30, day=25), NOON),  # three were missed: once
    ],
)
def test_the_slot_of_now_is_due_once(plan: Any, claimed: datetime, slot: datetime | None) -> None:
    assert due_slot(plan, claimed, NOON) == slot


@pytest.mark.parametrize(
    ("plan", "slot"), [(EVERY_5_SECONDS, at(12)), (HOURLY, at(12)), (DAILY, at(0)), (AT_HALF_PAST_THREE, NOON)]
)
def test_a_clock_that_steps_back_by_two_days_stops_nothing(plan: Any, slot: datetime) -> None:
    assert due_slot(plan, NOON + timedelta(days=2), NOON) == slot


@pytest.mark.parametrize(
    ("plan", "claimed", "slot"),
    [
        (EVERY_5_SECONDS, at(12, 0, 10), None),
        (EVERY_5_SECONDS, at(12, 1, 8), None),
        (EVERY_5_SECONDS, at(12, 1, 9), at(12)),
        (AT_HALF_PAST_THREE, at(12, 1, 3), None),
        (AT_HALF_PAST_THREE, at(12, 1, 4), NOON),
    ],
)
def test_a_clock_that_steps_back_by_up_to_a_minute_sends_nothing_twice(plan: Any, claimed: datetime, slot: Any) -> None:
    assert due_slot(plan, claimed, NOON) == slot


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_eight_beats_that_see_the_same_slot_one_claims_it() -> None:
    ScheduledTask.objects.create(name="sweep", slot=at(11))
    seen = ScheduledTask.objects.get()

    won: list[bool] = []
    run_concurrently(*[lambda: won.append(claim_slot(seen, at(12)))] * 8)

    assert sorted(won) == [False] * 7 + [True]
    assert (ScheduledTask.objects.get().slot, ScheduledTask.objects.get().runs) == (at(12), 1)


class Sent(list[str]):
    """The tasks that the beats of a test have sent."""


@pytest.fixture(autouse=True)
def _stop_signals() -> Iterator[None]:
    """Give the run its signals back, which a beat takes: else neither Ctrl-C nor a time limit ends the tests after these."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    monkeypatch.setattr(beat_scheduler, "database_now", lambda: NOON)
    return Sent()


def a_beat(sent: Sent, *, is_broker_away: bool = False, broker: str = "memory://") -> DatabaseScheduler:
    app = Celery("beats", broker=broker, set_as_current=False)
    app.conf.broker_connection_max_retries = None  # as in the settings
    app.conf.beat_schedule = {
        "sweep": {"task": "a.sweep", "schedule": 5.0},
        "daily": {"task": "a.day", "schedule": DAILY},
    }
    scheduler = DatabaseScheduler(app=app)

    def send_task(name: str, *args: object, **options: object) -> None:
        if is_broker_away:
            raise ConnectionError("the broker is away")
        sent.append(name)

    scheduler.send_task = send_task
    return scheduler


def claimed(**slots: datetime) -> None:
    for name, slot in slots.items():
        ScheduledTask.objects.create(name=name, slot=slot)


def test_a_new_task_waits_for_its_next_slot(db, sent: Sent) -> None:
    for _ in range(2):
        a_beat(sent).tick()

    assert sent == []
    slots = dict(ScheduledTask.objects.values_list("name", "slot"))
    assert slots == {"sweep": at(12), "daily": at(0)}


def test_two_beats_and_a_restart_send_what_is_due_once(db, sent: Sent) -> None:
    claimed(sweep=at(11), daily=at(0, day=27))

    for _ in range(3):
        a_beat(sent).tick()

    assert sorted(sent) == ["a.day", "a.sweep"]
    assert Heartbeat.objects.filter(name="beat").exists()
    assert ProcessSecrets.objects.get().role == "beat"


def test_what_could_not_be_sent_is_sent_by_whoever_finds_the_broker(db, sent: Sent) -> None:
    claimed(sweep=at(11), daily=at(0, day=27))

    a_beat(sent, is_broker_away=True).tick()
    a_beat(sent).tick()

    assert sorted(sent) == ["a.day", "a.sweep"]


def test_a_claim_is_not_taken_back_once_a_later_slot_was_claimed(db) -> None:
    claimed(sweep=at(11))
    first = ScheduledTask.objects.get()
    claim_slot(first, at(12))
    claim_slot(ScheduledTask.objects.get(), at(13))

    release_slot(first)

    assert ScheduledTask.objects.get().slot == at(13)


def test_beat_lives_on_and_can_be_stopped_while_there_is_no_broker(db, sent: Sent) -> None:
    claimed(sweep=at(11), daily=at(0))
    scheduler = a_beat(sent, broker="redis://127.0.0.1:1/0")  # no server listens there

    assert scheduler.tick() > 0

    assert Heartbeat.objects.filter(name="beat").exists()
    assert ScheduledTask.objects.get(name="sweep").slot == at(11)  # it waits for a broker
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        scheduler.tick()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_ends_no_beat(sent: Sent, settings) -> None:
    claimed(sweep=at(11), daily=at(0))
    scheduler = a_beat(sent)

    with connection.execute_wrapper(_refuse):
        assert scheduler.tick() > 0
    scheduler.tick()

    assert sent == ["a.sweep"]


def _refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    from django.db import OperationalError

    raise OperationalError("the database is away")
