"""The threads that hash passwords."""

import os
import signal
import sys
import threading

import pytest

from saas.accounts.passwords import hashing_pool


def priorities() -> list[int]:
    """Of the threads that hash, by the kernel's own account."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("hashing")]
    return [os.getpriority(os.PRIO_PROCESS, thread.native_id or 0) for thread in threads]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_hashing_threads_have_a_lower_priority() -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    hashing_pool.pbkdf2_sha256("a password", "salt", 10)

    assert set(priorities()) == {10}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of threads; that is the point
def test_a_process_that_was_forked_hashes_too() -> None:
    expected = hashing_pool.pbkdf2_sha256("a password", "salt", 10)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # nothing of pytest's may run here
        signal.alarm(10)
        os.write(write, hashing_pool.pbkdf2_sha256("a password", "salt", 10))
        os._exit(0)

    os.close(write)
    answer = os.read(read, 64)
    os.waitpid(child, 0)
    os.close(read)
    assert answer == expected
