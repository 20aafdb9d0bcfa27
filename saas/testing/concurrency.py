"""Run calls at the same moment, each on a database connection of its own."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier

from django.db import connection, transaction


def run_concurrently(*calls: Callable[[], object]) -> list[str]:
    """Run all calls together; return "done" or the error's code for each, sorted."""
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> str:
        start.wait(timeout=10)
        try:
            call()
        except Exception as error:
            return getattr(error, "code", repr(error))
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(pool.map(run, calls))


def second_waits_for_first(
    first: Callable[[], object], second: Callable[[], object], then: Callable[[], object] = lambda: None
) -> None:
    """Run each in a transaction of its own; ``first`` goes on with ``then`` once ``second`` waits for its lock."""

    def run_second() -> None:
        try:
            with transaction.atomic():
                second()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        first()
        later = pool.submit(run_second)
        _wait_for_a_lock(later)
        then()
    later.result()


def _wait_for_a_lock(later: Future[None]) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if later.done():
            later.result()  # its own error says more
            break
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("The second transaction waits for no lock.")
