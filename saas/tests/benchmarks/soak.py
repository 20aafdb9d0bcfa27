"""Taking in and acting on events together, at a fixed rate: does the backlog grow?

The rate is a share of what intake and worker sustain together on this machine, measured a moment before. Four share the
processors, and the report of a growing backlog must show which: the intake, the worker, PostgreSQL, the load generator.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from typing import Any

import psycopg
from celery import Celery
from django.conf import settings

from saas.tests.benchmarks.compare import FIRST_GUESS_RPS, WARM_UP_SECONDS, measure
from saas.tests.benchmarks.drain import look, our_worker
from saas.tests.benchmarks.environment import Environment, Server
from saas.tests.benchmarks.intake import INTAKE, intake
from saas.tests.benchmarks.processes import HOST, Process, machine_cpu_seconds, offer_load

CONNECTIONS = 64
SHARE = 0.6  # of what both sustain together
LIMIT_SECONDS = 10.0
_SAMPLE_SECONDS = 2.0
_LOOK_SECONDS = 0.1  # while the limit is measured, so that its end is seen in time
_SETTLE_SECONDS = 180.0
_BACKLOG = (
    "SELECT count(*) FROM webhook_events_webhookevent WHERE status IN ('queued', 'retry_scheduled', 'replay_queued')"
)

Backlog = tuple[float, int]  # seconds since the load began, events that wait


@dataclass(frozen=True)
class Soak:
    """Rates are events a second; ``limit_rps`` is what both sustain. ``backlog_slope`` is what the backlog grew by a second,
    by least squares.

    ``…_cpu_us`` are for one event. Of all processors' time while the load lasted, ``share_of_ours`` is what those four used
    and ``share_used`` what all processes did.
    """

    design: str
    connections: int
    limit_rps: float
    offered_rps: float
    rps: float
    p50_ms: float
    p99_ms: float
    largest_backlog: int
    final_backlog: int
    backlog_slope: float
    intake_cpu_us: float
    worker_cpu_us: float
    database_cpu_us: float
    load_cpu_us: float
    share_of_ours: float
    share_used: float
    backlog: list[Backlog]
    intervals: list[dict[str, float]]  # second, p50_ms, p95_ms, p99_ms


@dataclass(frozen=True)
class Spent:
    """Seconds of processor since each began; ``there`` is what the machine had."""

    intake: float
    worker: float
    database: float
    used: float
    there: float

    def since(self, before: "Spent") -> "Spent":
        return Spent(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))


def run(
    environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None], minutes: float = 10.0
) -> list[Soak]:
    if not environment.database_url or not settings.REDIS_URL:
        raise SystemExit("bench soak needs DATABASE_URL and REDIS_URL.")
    server = intake(environment)
    measure(environment, server, CONNECTIONS, WARM_UP_SECONDS, FIRST_GUESS_RPS)
    worker = our_worker(environment)
    broker = Celery(broker=settings.REDIS_URL)
    with psycopg.connect(environment.database_url, autocommit=True) as database, ThreadPoolExecutor(1) as load:
        _wait_until_nothing_is_due(database, broker)
        limit = _sustained_together(environment, server, database, broker)
        say(f"{limit:.0f} events/s is what both sustain; {SHARE * limit:.0f} for {minutes:g} minutes")
        before = _spent(environment, server, worker)
        answers = load.submit(_offer, server, SHARE * limit, minutes * 60)
        samples = _watch(database, broker, answers, say)
        spent = _spent(environment, server, worker).since(before)
    return [_row(limit, answers.result(), samples, spent)]


def slope(samples: Sequence[Backlog]) -> float:
    """Events a second that the backlog grows by, by least squares; 0 for fewer than two samples."""
    if len(samples) < 2:
        return 0.0
    moments, backlogs = zip(*samples, strict=True)
    return statistics.linear_regression(moments, backlogs).slope


def _spent(environment: Environment, server: Server, worker: Process) -> Spent:
    return Spent(
        server.process.cpu_seconds(), worker.cpu_seconds(), environment.database_cpu_seconds(), *machine_cpu_seconds()
    )


def _offer(server: Server, rate: float, seconds: float) -> dict[str, Any]:
    result = offer_load(
        {"host": HOST, "port": server.port, "connections": CONNECTIONS, "seconds": seconds, "rate": rate}
    )
    if refused := {status: n for status, n in result["statuses"].items() if not status.startswith("2")}:
        raise RuntimeError(f"the intake answered {refused}")
    return result


def _sustained_together(
    environment: Environment, server: Server, database: psycopg.Connection, broker: Celery
) -> float:
    """Return events a second: those of a full load, over the time until the last of them was acted on."""
    load = measure(environment, server, CONNECTIONS, LIMIT_SECONDS, FIRST_GUESS_RPS)
    ended = time.monotonic()
    _wait_until_nothing_is_due(database, broker)
    return load.requests / (load.requests / load.rps + time.monotonic() - ended)


def _wait_until_nothing_is_due(database: psycopg.Connection, broker: Celery) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while _backlog(database):
        if time.monotonic() > deadline:
            raise RuntimeError("the worker does not come to an end")
        look(broker)
        time.sleep(_LOOK_SECONDS)


def _watch(
    database: psycopg.Connection, broker: Celery, answers: Future[dict[str, Any]], say: Callable[[str], None]
) -> list[Backlog]:
    """The backlog every few seconds while the load lasts. Rings as beat would, whose sweep finds lost bells."""
    samples, began, minutes = [], time.monotonic(), 0
    while not answers.done():
        samples.append((time.monotonic() - began, _backlog(database)))
        look(broker)
        time.sleep(_SAMPLE_SECONDS)
        if samples[-1][0] // 60 > minutes:
            minutes += 1
            say(f"minute {minutes}: {samples[-1][1]} wait")
    return samples


def _backlog(database: psycopg.Connection) -> int:
    row = database.execute(_BACKLOG).fetchone()
    return int(row[0]) if row else 0


def _row(limit: float, answers: dict[str, Any], samples: list[Backlog], spent: Spent) -> Soak:
    events, load = answers["requests"], answers["cpu_seconds"]
    return Soak(
        f"{INTAKE} and one worker",
        CONNECTIONS,
        limit_rps=round(limit, 1),
        offered_rps=round(SHARE * limit, 1),
        rps=round(answers["rps"], 1),
        p50_ms=round(answers["p50_ms"], 3),
        p99_ms=round(answers["p99_ms"], 3),
        largest_backlog=max(backlog for _, backlog in samples),
        final_backlog=samples[-1][1],
        backlog_slope=round(slope(samples), 3),
        intake_cpu_us=round(spent.intake / events * 1e6, 1),
        worker_cpu_us=round(spent.worker / events * 1e6, 1),
        database_cpu_us=round(spent.database / events * 1e6, 1),
        load_cpu_us=round(load / events * 1e6, 1),
        share_of_ours=round((spent.intake + spent.worker + spent.database + load) / spent.there, 3),
        share_used=round(spent.used / spent.there, 3),
        backlog=samples,
        intervals=answers["intervals"],
    )
