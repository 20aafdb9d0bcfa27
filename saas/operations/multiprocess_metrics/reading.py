"""Adding up the metrics of all processes, and sweeping the files of those that ended.

What an ended process counted is added to one file for all of them, so the number of files stays that of the living processes,
and no counter ever falls. Its gauges say nothing any more.
"""

import fcntl
import glob
import logging
import os
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from saas.operations.multiprocess_metrics.files import AllocatedDict, is_metric_key
from saas.operations.multiprocess_metrics.folders import metrics_folder
from saas.operations.processes import is_process_alive

logger = logging.getLogger(__name__)

_ADDED_UP = ("counter", "histogram", "summary")
_OF_THE_ENDED = "0"  # in the place of a process id
_UNREADABLE = (OSError, RuntimeError, ValueError, struct.error)


class _FolderCollector(MultiProcessCollector):
    """All files that can be read: one that is broken hides no other."""

    def collect(self) -> Iterable[Metric]:
        with _locked(self._path, fcntl.LOCK_SH):
            readable = [file for file in _files(self._path) if _values(file) is not None]
            return list(self.merge(readable, accumulate=True))  # type: ignore[no-untyped-call]


def shared_registry() -> CollectorRegistry:
    """A registry of what all processes counted; of what this one did, where they share no folder."""
    folder = metrics_folder()
    if not folder or not os.path.isdir(folder) or not _files(folder):
        return REGISTRY
    sweep_ended_processes()
    registry = CollectorRegistry()
    _FolderCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def sweep_ended_processes() -> None:
    """Add what ended processes counted to one file, and delete theirs."""
    folder = metrics_folder()
    if not folder or not any(_is_of_ended(file) for file in _files(folder)):
        return
    try:
        with _locked(folder, fcntl.LOCK_EX):
            ended = [file for file in _files(folder) if _is_of_ended(file)]
            for kind in _ADDED_UP:
                _add_up(folder, kind, [file for file in ended if os.path.basename(file).startswith(f"{kind}_")])
            for file in ended:
                Path(file).unlink(missing_ok=True)
    except OSError as error:  # a full disk: the next one tries again
        logger.warning("metrics_not_swept: %s", error)


def _add_up(folder: str, kind: str, ended: list[str]) -> None:
    if not ended:
        return
    total = os.path.join(folder, f"{kind}_{_OF_THE_ENDED}.db")
    sums: dict[str, float] = defaultdict(float)
    for file in [total, *ended]:
        for key, value in _values(file) or ():
            sums[key] += value
    draft = Path(f"{total}.draft")
    draft.unlink(missing_ok=True)
    written = AllocatedDict(str(draft))
    for key, value in sums.items():
        written.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    written.close()
    draft.replace(total)  # raises where there was no room for it


def _files(folder: str) -> list[str]:
    return glob.glob(os.path.join(glob.escape(folder), "*.db"))


def _is_of_ended(file: str) -> bool:
    pid = Path(file).stem.rpartition("_")[2]
    return pid.isdecimal() and pid != _OF_THE_ENDED and not is_process_alive(int(pid))


def _values(file: str) -> list[tuple[str, float]] | None:
    """Values by key; ``None`` for a file that is broken or gone."""
    try:
        read = MmapedDict.read_all_values_from_file(file)  # type: ignore[no-untyped-call]
        found = [(key, value) for key, value, _, _ in read]
    except _UNREADABLE:
        return None
    return found if all(is_metric_key(key) for key, _ in found) else None


@contextmanager
def _locked(folder: str, how: int) -> Iterator[None]:
    """Keep readers out while files are added up. Without a lock where there is no room for its file."""
    try:
        file = open(os.path.join(folder, "lock"), "ab")  # noqa: SIM115  (closed below)
    except OSError:
        yield
        return
    with file:
        fcntl.flock(file, how)
        yield
