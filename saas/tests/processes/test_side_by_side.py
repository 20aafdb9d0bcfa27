"""Tests that share something stay together in one worker of a run side by side."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from django.conf import settings

TESTS = """
import os
import pytest

@pytest.fixture
def shared_stack(): ...

@pytest.fixture(autouse=True)
def note(request):
    with open({noted!r}, "a") as file:
        file.write(request.node.name.partition("[")[0] + " " + os.environ["PYTEST_XDIST_WORKER"] + chr(10))

@pytest.mark.xdist_group("named")
@pytest.mark.parametrize("number", range(8))
def test_of_a_group(number): ...

@pytest.mark.faults
@pytest.mark.parametrize("number", range(8))
def test_with_faults(number): ...

@pytest.mark.parametrize("number", range(8))
def test_on_the_stack(shared_stack, number): ...

@pytest.mark.long
@pytest.mark.parametrize("number", range(8))
def test_of_a_long_file(number): ...

@pytest.mark.parametrize("number", range(40))
def test_alone(number): ...
"""


def test_what_shares_something_runs_in_one_worker(tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    (tmp_path / "test_marked.py").write_text(TESTS.format(noted=str(noted)))
    marks = (settings.BASE_DIR / "pytest.ini").read_text().partition("markers =")[2]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmarkers ={marks}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "saas.testing.plugin", "-n", "2", "--dist", "loadgroup"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(settings.BASE_DIR),
        "DJANGO_SETTINGS_MODULE": "saas.settings.testing",
    }

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert "72 passed" in done.stdout, done.stdout + done.stderr
    workers = defaultdict(set)
    for line in noted.read_text().splitlines():
        test, worker = line.split()
        workers[test].add(worker)
    assert len(set.union(*workers.values())) == 2
    del workers["test_alone"]
    assert {test: len(seen) for test, seen in workers.items()} == {
        "test_of_a_group": 1,
        "test_with_faults": 1,
        "test_on_the_stack": 1,
        "test_of_a_long_file": 1,
    }
