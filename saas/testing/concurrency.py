"""Run calls at the same moment, each on a database connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection


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
