"""A hard limit ends its process, whatever the process is doing; what is in time goes on."""

import subprocess
import sys

import pytest

from saas.workers.time_limit import TimeLimits

LIMITED = """
import re, threading, time
from saas.workers.time_limit import hard_time_limit
def work():
    with hard_time_limit(0.3):
        {work}
    print("done", flush=True)
{run}
"""
IN_MAIN, IN_THREAD = "work()", "thread = threading.Thread(target=work); thread.start(); thread.join()"
HOLDS_THE_INTERPRETER = "re.match(r'(a|a)*$', 'a' * 40 + 'b')"


def run(work: str, how: str) -> "subprocess.CompletedProcess[str]":
    code = LIMITED.format(work=work, run=how)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("how", [IN_MAIN, IN_THREAD], ids=["main thread", "another thread"])
@pytest.mark.parametrize("work", ["time.sleep(30)", HOLDS_THE_INTERPRETER], ids=["sleeps", "holds the interpreter"])
def test_what_takes_too_long_ends_its_process_and_says_where_it_stood(work: str, how: str) -> None:
    ended = run(work, how)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Timeout (0:00:00." in ended.stderr
    assert "in work" in ended.stderr


def test_a_suite_of_blocks_that_end_in_time_ends_nothing() -> None:
    ended = run("time.sleep(0)", f"for _ in range(3): {IN_MAIN}\ntime.sleep(0.5)")

    assert (ended.returncode, ended.stdout) == (0, "done\n" * 3)


def test_the_end_of_an_inner_block_leaves_the_outer_limit_standing() -> None:
    inner = "time.sleep(0) if hard_time_limit(5).__enter__() else None; time.sleep(30)"

    assert run(inner, IN_MAIN).returncode == 1


def test_what_is_over_is_waited_for_no_more() -> None:
    watchdog = TimeLimits()

    watchdog.add("task", 60)
    watchdog.remove("task")
    watchdog.remove("task")

    assert watchdog._deadlines == {}
