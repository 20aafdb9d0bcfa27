"""The folder that the processes of one server share."""

import os
import subprocess
import sys

import pytest

from saas.operations import draining
from saas.operations.multiprocess_metrics import folders
from saas.server import shared_state


@pytest.fixture(autouse=True)
def _somewhere(tmp_path, monkeypatch):
    """In a folder of the test's own, and the process's environment and flag as they were afterwards."""
    monkeypatch.setattr(shared_state, "_MEMORY", tmp_path)
    for name in ("SAAS_SERVER_STATE", "SAAS_DRAINING_FLAG", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.setenv(name, "")  # so that it is as it was afterwards
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    monkeypatch.setattr(draining, "_flag", draining._flag)


def test_every_process_of_a_server_sees_that_it_is_draining():
    asked = "from saas.operations import draining; print(draining.is_draining())"
    with shared_state.create_shared_state() as shared:
        before = subprocess.check_output([sys.executable, "-c", asked], text=True)
        shared.start_draining()
        after = subprocess.check_output([sys.executable, "-c", asked], text=True)

    assert (before, after) == ("False\n", "True\n")


def test_folders_of_this_server_and_of_killed_ones_are_deleted(tmp_path):
    (tmp_path / f"saas-server-{2**22 + 1}-old").mkdir()
    living = tmp_path / f"saas-server-{os.getpid()}-other"
    living.mkdir()

    with shared_state.create_shared_state():
        assert len(list(tmp_path.iterdir())) == 2

    assert list(tmp_path.iterdir()) == [living]


def test_on_a_full_disk_metrics_are_not_shared(monkeypatch, capsys):
    monkeypatch.setattr(folders, "MIN_FREE_BYTES", 2**62)

    with shared_state.create_shared_state():
        assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ

    assert "has no room" in capsys.readouterr().err


def test_metrics_are_shared_where_there_is_space():
    with shared_state.create_shared_state() as shared:
        assert os.path.isdir(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        assert not shared.has_failed_to_boot()


def test_only_one_process_reports_a_failed_boot():
    with shared_state.create_shared_state() as shared:
        assert [shared.record_failed_boot(), shared.record_failed_boot()] == [True, False]
        assert shared.has_failed_to_boot()
