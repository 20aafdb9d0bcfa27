"""Acting on what was taken in: our worker against one task for each event with Celery's defaults.

Both run two processes. What they do for an event is the same: one row into a table without constraints, at the moment it
is written; the rate is read off that table, so it holds no start-up and no queueing.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

import psycopg
from celery import Celery
from django.conf import settings

from saas.tests.benchmarks import deliveries
from saas.tests.benchmarks.baselines import rows as same_rows
from saas.tests.benchmarks.compare import Comparison, Row, Sample
from saas.tests.benchmarks.environment import Environment
from saas.tests.benchmarks.processes import Process

NAIVE, OURS = "one event per task", "our worker"
COUNTS = {NAIVE: 400, OURS: 6000}
PROCESSES = 2
_AT_ONCE = 200
_LONGEST_SECONDS, _SWEEP_SECONDS = 180.0, 5.0
_NAIVE_APP = "saas.tests.benchmarks.baselines.naive"
_CELERY = ["worker", f"--concurrency={PROCESSES}", "--without-gossip", "--without-mingle", "--loglevel=INFO"]


def run(environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Row]:
    if not environment.database_url or not settings.REDIS_URL:
        raise SystemExit("bench drain needs DATABASE_URL and REDIS_URL.")
    environment.run_django_admin(f"{_NAIVE_APP}.settings", "migrate", "--run-syncdb", "-v0")
    workers = {
        NAIVE: environment.start_worker(
            "naive-worker",
            ["-m", "celery", "-A", f"{_NAIVE_APP}.celery:app", *_CELERY, "-Q", "naive"],
            " ready.",
            DJANGO_SETTINGS_MODULE=f"{_NAIVE_APP}.settings",
        ),
        OURS: our_worker(environment),
    }
    comparison, broker = Comparison(NAIVE), Celery(broker=settings.REDIS_URL)
    with psycopg.connect(environment.database_url, autocommit=True) as database:
        for number in range(rounds):
            for design, drain in ((NAIVE, _drain_naive), (OURS, drain_ours)):
                comparison.add(design, PROCESSES, drain(environment, workers[design], database, broker))
            say(f"round {number + 1} of {rounds}")
    return comparison.rows(lambda design: round(workers[design].memory_mb(), 1))


def drain_ours(environment: Environment, worker: Process, database: psycopg.Connection, broker: Celery) -> Sample:
    made = deliveries.bodies()
    for _ in range(COUNTS[OURS] // _AT_ONCE):
        database.execute(*same_rows.insert([same_rows.row(next(made)[1]) for _ in range(_AT_ONCE)]))
    ring = partial(look, broker)
    return _measure(environment, worker, database, COUNTS[OURS], ring, ring)


def _drain_naive(environment: Environment, worker: Process, database: psycopg.Connection, broker: Celery) -> Sample:
    made = deliveries.bodies()
    ids = [
        database.execute(
            "INSERT INTO naive_naiveevent (event_id, type, payload, received_at) VALUES (%s, %s, %s, now()) RETURNING id",
            (event_id, deliveries.TYPE, body.decode()),
        ).fetchone()[0]
        for event_id, body in (next(made) for _ in range(COUNTS[NAIVE]))
    ]
    return _measure(environment, worker, database, COUNTS[NAIVE], partial(_send_naive, broker, ids), lambda: None)


def our_worker(environment: Environment) -> Process:
    return environment.start_worker(
        "worker",
        ["-m", "celery", "-A", "saas", *_CELERY, "-Q", "bench"],
        " ready.",
        DJANGO_SETTINGS_MODULE="saas.tests.benchmarks.settings",
        LOG_LEVEL="INFO",
    )


def look(app: Celery) -> None:
    """What beat's sweep does every few seconds."""
    for _ in range(PROCESSES):
        app.send_task("saas.webhook_events.tasks.look", (0,), queue="bench")


def _send_naive(app: Celery, ids: Sequence[int]) -> None:
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for pk in ids:
            app.send_task(f"{_NAIVE_APP}.tasks.process", (pk,), queue="naive", producer=producer)


def _measure(
    environment: Environment,
    worker: Process,
    database: psycopg.Connection,
    count: int,
    start: Callable[[], None],
    again: Callable[[], None],
) -> Sample:
    """What is drained is there already, so that PostgreSQL's time is the worker's alone."""
    cpu, database_cpu = worker.cpu_seconds(), environment.database_cpu_seconds()
    rps = _rate(database, count, start, again)
    return Sample(
        rps,
        cpu_us=(worker.cpu_seconds() - cpu) / count * 1e6,
        database_cpu_us=(environment.database_cpu_seconds() - database_cpu) / count * 1e6,
        requests=count,
    )


def _rate(database: psycopg.Connection, count: int, start: Callable[[], None], again: Callable[[], None]) -> float:
    """Events a second, from the first effect to the last. ``again`` is what beat would do every few seconds."""
    database.execute("TRUNCATE bench_effect")
    start()
    began = rang = time.monotonic()
    while database.execute("SELECT count(*) FROM bench_effect").fetchone()[0] < count:
        if time.monotonic() > began + _LONGEST_SECONDS:
            raise RuntimeError("the worker does not come to an end")
        if time.monotonic() > rang + _SWEEP_SECONDS:
            again()
            rang = time.monotonic()
        time.sleep(0.1)
    return (
        count / database.execute("SELECT extract(epoch FROM max(at) - min(at))::float FROM bench_effect").fetchone()[0]
    )
