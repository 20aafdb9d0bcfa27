"""The files in which the processes of a server count: a full disk and a missing folder harm none of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from prometheus_client import REGISTRY
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from saas.operations.multiprocess_metrics import files, folders, reading

ENDED = 2**22 + 1  # above every process id
COUNT = """
from saas.operations.multiprocess_metrics.files import use_allocated_files
use_allocated_files()
from prometheus_client import Counter, generate_latest
from saas.operations.multiprocess_metrics.reading import shared_registry
counter = Counter("tests", "Counted.", ["route"])
{before}
for number in range(3000):
    counter.labels(f"route {{number}}").inc()
text = generate_latest(shared_registry()).decode()
print(text.count("tests_total{{"), flush=True)
"""
LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


def count(folder: Path, before: str = "", through: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Count 3000 routes in a process of its own, and print how many it then shows: 400 kB of metrics."""
    return subprocess.run(
        [*through, sys.executable, "-c", COUNT.format(before=before)],
        cwd=settings.BASE_DIR,
        env={**os.environ, folders.VARIABLE: str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def key(route: str) -> str:
    return mmap_key("tests", "tests_total", ["route"], [route], "Counted.")


def write(folder: Path, pid: int | str, kind: str = "counter", **values: float) -> None:
    written = MmapedDict(str(folder / f"{kind}_{pid}.db"))
    for route, value in values.items():
        written.write_value(key(route), value, 0.0)
    written.close()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path))
    return tmp_path


def shown() -> dict[str, float]:
    metrics = reading.shared_registry().collect()
    return {sample.labels["route"]: sample.value for metric in metrics for sample in metric.samples}


@pytest.mark.parametrize(
    ("before", "is_shared"),
    [("", True), (LIMIT.format(1000), False), (LIMIT.format(200_000), False)],
    ids=["there is room", "full from the beginning", "full after a while"],
)
def test_a_process_counts_whatever_room_there_is(tmp_path, before, is_shared) -> None:
    done = count(tmp_path, before)

    assert (done.returncode, done.stdout) == (0, "3000\n"), done.stderr
    assert any(tmp_path.glob("counter_*.db")) == is_shared
    assert ("metrics_not_shared" in done.stderr) != is_shared


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_does_not_end_a_process(tmp_path) -> None:
    mount = f'mount -t tmpfs -o size=128k none {tmp_path} && exec "$0" "$@"'
    if subprocess.run(["unshare", "-m", "sh", "-c", mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")

    done = count(tmp_path, through=("unshare", "-m", "sh", "-c", mount))

    assert (done.returncode, done.stdout) == (0, "3000\n"), done.stderr


@pytest.mark.parametrize("before", ["", "import shutil, os; shutil.rmtree(os.environ['PROMETHEUS_MULTIPROC_DIR'])"])
def test_a_missing_folder_does_not_end_a_process(tmp_path, before) -> None:
    done = count(
        tmp_path / "gone", "import os; os.makedirs(os.environ['PROMETHEUS_MULTIPROC_DIR'], exist_ok=True)\n" + before
    )

    assert (done.returncode, done.stdout) == (0, "3000\n"), done.stderr


def test_a_folder_that_cannot_be_made_does_not_end_a_process(tmp_path) -> None:
    (tmp_path / "file").touch()

    done = count(tmp_path / "file" / "metrics")

    assert (done.returncode, done.stdout) == (0, "3000\n"), done.stderr


def test_a_file_grows_to_its_bound_and_not_further(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 2 * files.INITIAL_BYTES)
    counted = files.AllocatedDict(str(tmp_path / "counter_1.db"))

    for number in range(2000):
        counted.write_value(key(f"route {number}"), number, 0.0)

    assert counted.read_value(key("route 1999"))[0] == 1999
    assert not (tmp_path / "counter_1.db").exists()
    counted.close()


def test_what_was_counted_before_is_still_there_in_a_file_that_grew(tmp_path) -> None:
    counted = files.AllocatedDict(str(tmp_path / "counter_1.db"))
    for number in range(2000):
        counted.write_value(key(f"route {number}"), number, 0.0)
    counted.close()

    again = files.AllocatedDict(str(tmp_path / "counter_1.db"))

    assert [again.read_value(key(f"route {number}"))[0] for number in (0, 700, 1999)] == [0, 700, 1999]


@pytest.mark.parametrize("content", [b"\xff" * 64, b"\x40\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x0f", b"x"])
def test_a_broken_file_is_begun_anew_and_hides_no_other(folder, content) -> None:
    (folder / f"counter_{os.getpid()}.db").write_bytes(content)
    write(folder, os.getppid(), a=2)

    assert shown() == {"a": 2}
    files.AllocatedDict(str(folder / f"counter_{os.getpid()}.db")).write_value(key("b"), 3, 0.0)
    assert shown() == {"a": 2, "b": 3}


def test_what_ended_processes_counted_is_kept_in_one_file(folder) -> None:
    write(folder, os.getpid(), a=1)
    write(folder, ENDED, a=2, b=3)
    write(folder, ENDED + 1, b=4)
    write(folder, ENDED, kind="gauge_livesum", c=5)

    assert shown() == {"a": 3, "b": 7}

    assert sorted(path.name for path in folder.glob("*.db")) == ["counter_0.db", f"counter_{os.getpid()}.db"]
    write(folder, ENDED + 2, b=1)
    assert shown() == {"a": 3, "b": 8}


def test_where_there_is_no_room_to_add_up_nothing_is_lost(folder, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write(folder, ENDED, a=2)
    monkeypatch.setattr(files.os, "posix_fallocate", refuse)

    assert shown() == {"a": 2}
    assert (folder / f"counter_{ENDED}.db").exists()


def test_without_a_folder_a_process_shows_what_it_counted_itself(folder) -> None:
    folder.rmdir()

    assert reading.shared_registry() is REGISTRY


def test_folders_of_killed_workers_are_deleted_and_those_of_others_are_not(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(folders.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv(folders.VARIABLE, "")
    monkeypatch.delenv(folders.VARIABLE)
    for name in (f"saas-metrics-{ENDED}-a", f"saas-metrics-{os.getppid()}-b", "saas-metrics-old"):
        (tmp_path / name).mkdir()

    folders.share_metrics_of_worker()

    own = Path(os.environ[folders.VARIABLE])
    assert {path.name for path in tmp_path.iterdir()} == {
        f"saas-metrics-{os.getppid()}-b",
        "saas-metrics-old",
        own.name,
    }
    assert own.name.startswith(f"saas-metrics-{os.getpid()}-")


def test_a_worker_on_a_full_disk_shares_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(folders, "MIN_FREE_BYTES", 2**62)

    assert not folders.share_metrics(tmp_path / "metrics")
    assert not folders.share_metrics(tmp_path / "gone" / "metrics")
