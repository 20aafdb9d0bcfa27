"""A worker that hangs is killed, and no other."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from saas.operations.processes import is_process_alive
from saas.server.shared_state import SharedState
from saas.server.watchdog import HANG_TIMEOUT_SECONDS, Watchdog, send_heartbeats


@pytest.fixture
def shared(tmp_path):
    (tmp_path / "beats").mkdir()
    return SharedState(tmp_path)


@pytest.fixture
def worker(shared, tmp_path):
    """A process that sends no heartbeat but those that a test writes for it."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process.beat = (tmp_path / "beats" / str(process.pid)).write_text
    process.beat("0")
    yield process
    process.kill()
    process.wait()


def look(watch, seconds, start=0):
    """Once a second, ``seconds`` times."""
    for second in range(seconds):
        watch.check_workers(float(start + second))


def test_a_worker_without_a_heartbeat_is_killed_after_half_a_minute(shared, worker):
    watch = Watchdog(shared)

    look(watch, int(HANG_TIMEOUT_SECONDS) + 1)
    assert worker.poll() is None
    look(watch, 1, start=int(HANG_TIMEOUT_SECONDS) + 1)

    assert worker.wait(5) == -signal.SIGKILL
    assert shared.heartbeats() == {}


def test_a_worker_that_shows_signs_of_life_is_left_alone(shared, worker):
    watch = Watchdog(shared)

    for second in range(100):
        worker.beat(str(second))
        watch.check_workers(float(second))

    assert worker.poll() is None


def test_after_a_pause_of_the_whole_server_everybody_begins_anew(shared, worker):
    watch = Watchdog(shared)
    look(watch, 20)

    look(watch, int(HANG_TIMEOUT_SECONDS), start=3_600)

    assert worker.poll() is None


def test_a_worker_that_died_is_forgotten(shared, worker):
    worker.kill()
    worker.wait()

    Watchdog(shared).check_workers(0.0)

    assert shared.heartbeats() == {}


def test_the_loop_of_a_worker_shows_signs_of_life(shared, monkeypatch):
    monkeypatch.setattr("saas.server.watchdog.HEARTBEAT_SECONDS", 0.01)

    async def main():
        send_heartbeats(asyncio.get_running_loop(), shared, os.getppid())
        seen = set()
        while len(seen) < 3:
            seen.add(shared.heartbeats()[os.getpid()])
            await asyncio.sleep(0.005)
        return seen

    assert len(asyncio.run(asyncio.wait_for(main(), 5))) == 3


def test_a_heartbeat_that_cannot_be_written_ends_no_worker(shared, monkeypatch, tmp_path):
    (tmp_path / "beats").rmdir()

    async def main():
        send_heartbeats(asyncio.get_running_loop(), shared, os.getppid())

    asyncio.run(main())

    assert shared.heartbeats() == {}


def test_a_worker_whose_parent_was_killed_ends(shared, monkeypatch):
    ended = []
    monkeypatch.setattr(os, "kill", lambda pid, number: ended.append((pid, number)))

    async def main():
        send_heartbeats(asyncio.get_running_loop(), shared, parent=os.getppid() + 1)

    asyncio.run(main())

    assert ended == [(os.getpid(), signal.SIGTERM)]
    assert shared.heartbeats() == {}


def test_whether_a_process_is_alive(worker):
    assert is_process_alive(worker.pid)
    worker.kill()
    worker.wait()
    assert not is_process_alive(worker.pid)
