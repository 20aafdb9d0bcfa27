"""One design under load, watched by py-spy: who holds the interpreter's lock, asked 200 times a second.

Who waits, for an answer or for the lock, does not hold it and is not counted. What needs processor time without the lock is
the rest of what the kernel counted: the sockets, libpq, OpenSSL over whole bodies, a server that is not written in Python,
handing the lock from thread to thread.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from celery import Celery
from django.conf import settings

from saas.tests.benchmarks.compare import FIRST_GUESS_RPS, WARM_UP_SECONDS, Sample, measure
from saas.tests.benchmarks.drain import drain_ours, our_worker
from saas.tests.benchmarks.environment import Environment, Server
from saas.tests.benchmarks.intake import LEVELS, intake, intake_view
from saas.tests.benchmarks.processes import STOP_SECONDS, Process
from saas.tests.benchmarks.profiler.stacks import OwnTime, own_time
from saas.tests.benchmarks.read_requests import CONNECTIONS, me_by_bearer, product
from saas.tests.benchmarks.virtual_environments import EnvironmentUnavailable, python_for

FUNCTIONS = 15
_RATE = 200  # samples a second
_READY, _BEHIND = "Sampling process", "behind in sampling"


@dataclass(frozen=True)
class Spent:
    """Processor time for a request or event, and its share of all of that."""

    design: str
    part: str  # "whose", or one of the "function"s with the most time of their own
    name: str
    cpu_us: float
    percent: float


@dataclass(frozen=True)
class Design:
    process: Process
    load: Callable[[float], Sample]  # for so many seconds


def run(
    environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None], design: str = "intake"
) -> list[Spent]:
    profiler = _profiler()
    made = DESIGNS[design](environment)
    made.load(WARM_UP_SECONDS)
    with _recorded(profiler, made.process, environment.folder) as record:
        samples = [made.load(seconds) for _ in range(rounds)]
    found = own_time(record.stacks.read_text())
    requests = sum(sample.requests for sample in samples)
    say(f"{requests} requests or events, {found.samples} samples")
    if _BEHIND in record.log.read_text():
        say("py-spy could not keep up: the shares hold among functions, but the microseconds are too few.")
    return spent(design, found, requests, sum(sample.cpu_us * sample.requests for sample in samples) / requests)


def spent(design: str, found: OwnTime, requests: int, cpu_us: float) -> list[Spent]:
    """All owners and the first functions. ``cpu_us`` is what the kernel counted for a request."""
    locked = {"whose": found.owners.most_common(), "function": found.functions.most_common(FUNCTIONS)}
    microseconds = 1e6 / _RATE / requests
    without = max(cpu_us - found.samples * microseconds, 0.0)
    times = [(part, name, count * microseconds) for part, counts in locked.items() for name, count in counts]
    times.insert(len(found.owners), ("whose", "without the interpreter's lock", without))
    whole = found.samples * microseconds + without
    return [Spent(design, part, name, round(time, 2), round(time / whole * 100, 1)) for part, name, time in times]


@dataclass(frozen=True)
class Record:
    stacks: Path
    log: Path


@contextmanager
def _recorded(profiler: str, process: Process, folder: Path) -> Iterator[Record]:
    """While the block runs. Each sample stops the process for a moment; of those without, many are torn."""
    record = Record(folder / "stacks", folder / "py-spy.log")
    options = ["--subprocesses", "--gil", "--full-filenames", "--format", "raw", "--rate", str(_RATE)]
    watching = Process(
        ["record", "--pid", str(process.process.pid), *options, "--output", str(record.stacks)],
        {},
        record.log,
        profiler,
    )
    try:
        _wait_until_ready(watching)
        yield record
        os.kill(watching.process.pid, signal.SIGINT)
        watching.process.wait(STOP_SECONDS)
    finally:
        watching.stop()


def _wait_until_ready(watching: Process) -> None:
    try:
        watching.wait_for_text(_READY)
    except RuntimeError as error:
        raise SystemExit(f"py-spy may not watch other processes here ({str(error).splitlines()[1]}).") from error


def _profiler() -> str:
    try:
        return str(Path(python_for("profiler", Path(__file__).parents[1])).with_name("py-spy"))
    except EnvironmentUnavailable as error:
        raise SystemExit(f"bench profile needs py-spy, whose environment could not be made ({error}).") from error


def _served(environment: Environment, server: Server, connections: int, **job: object) -> Design:
    def load(seconds: float) -> Sample:
        return measure(environment, server, connections, seconds, FIRST_GUESS_RPS, **job)

    return Design(server.process, load)


def _intake(environment: Environment) -> Design:
    return _served(environment, intake(environment), LEVELS[-1])


def _intake_view(environment: Environment) -> Design:
    return _served(environment, intake_view(environment), LEVELS[-1])


def _me(environment: Environment) -> Design:
    server = product(environment)
    return _served(environment, server, CONNECTIONS, requests=[me_by_bearer(server)])


def _worker(environment: Environment) -> Design:
    """Drains as many events as ``bench drain``, however long that takes."""
    if not environment.database_url or not settings.REDIS_URL:
        raise SystemExit("bench profile worker needs DATABASE_URL and REDIS_URL.")
    worker, broker = our_worker(environment), Celery(broker=settings.REDIS_URL)

    def load(_seconds: float) -> Sample:
        with psycopg.connect(environment.database_url, autocommit=True) as database:
            return drain_ours(environment, worker, database, broker)

    return Design(worker, load)


DESIGNS = {"intake": _intake, "intake-view": _intake_view, "me": _me, "worker": _worker}
