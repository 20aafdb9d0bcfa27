"""How the processes of one var folder know each other: a run file is true while its process holds it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saas.operations import processes

HOLDER = """
import sys
from pathlib import Path
from saas.operations import processes
processes.claim_up(Path(sys.argv[1]))
processes.describe_up(Path(sys.argv[1]), urls={"product": "http://localhost:9000"}, ports={"product": 9000}, pids={})
print("held", flush=True)
sys.stdin.read()
"""


def test_nothing_runs_on_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert processes.running_up(tmp_path / "none") is None
    assert processes.running_services(tmp_path / "none") == set()


def test_an_up_is_known_while_its_process_lives_and_excludes_another(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        run = processes.running_up(tmp_path)
        with pytest.raises(processes.AlreadyRunning) as refusal:
            processes.claim_up(tmp_path)
        holder.kill()

    assert run == {
        "pid": holder.pid,
        "urls": {"product": "http://localhost:9000"},
        "ports": {"product": 9000},
        "pids": {},
    }
    assert refusal.value.run == run
    assert processes.running_up(tmp_path) is None


def test_a_service_is_known_by_its_port_and_leftover_files_are_cleared(tmp_path: Path) -> None:
    leftover = tmp_path / "run" / "service-1.json"
    leftover.parent.mkdir()
    leftover.write_text(json.dumps({"service": "parity", "port": 8002, "pid": 1}))

    processes.record_service(tmp_path, service="product", port=8000)

    assert processes.running_services(tmp_path) == {("product", 8000)}
    assert not leftover.exists()
    assert (tmp_path / "run" / f"service-{os.getpid()}.json").stat().st_size > 0


def test_the_port_base_is_remembered_for_the_next_up(tmp_path):
    assert processes.remembered_port_base(tmp_path) is None

    processes.remember_port_base(tmp_path, 9000)
    processes.remember_port_base(tmp_path, 9100)

    assert processes.remembered_port_base(tmp_path) == 9100
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    (tmp_path / "run" / processes.PORT_BASE_FILE).write_text("nine")
    assert processes.remembered_port_base(tmp_path) is None
