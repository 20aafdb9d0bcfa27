"""Files of metrics whose writing cannot kill a process.

prometheus_client maps sparse files into memory: where the disk is full, the first write to a page of one ends the process with
SIGBUS, and so each process that replaces it. Here the disk's space is taken before a file is mapped. Where that fails, or the
folder is gone, this process keeps its values to itself: they are counted, and shown when it is asked itself.
"""

import logging
import mmap
import os
import struct
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

INITIAL_BYTES = 1 << 16
MAX_BYTES = 8 << 20  # of one file; a process has one for each kind of metric


def is_metric_key(key: str) -> bool:
    """Whether ``key`` is one of prometheus_client's, a JSON list."""
    return key.startswith("[")


class AllocatedDict(MmapedDict):
    """Like its base, for writing. ``filename`` may be on a full disk, in a folder that is not there, or broken."""

    _f: Any
    _m: Any

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            self._map_file(filename)
            self._read_positions()
        except (RuntimeError, struct.error, UnicodeDecodeError):  # cut off, or not ours
            self.close()
            Path(filename).unlink(missing_ok=True)
            self._map_file(filename)
            self._read_positions()

    def _map_file(self, filename: str) -> None:
        self._fname, self._positions = filename, {}
        self._f = None
        try:
            os.makedirs(os.path.dirname(filename), exist_ok=True)
            self._f = open(filename, "a+b")  # noqa: SIM115  (until it is closed)
            self._capacity = max(os.fstat(self._f.fileno()).st_size, INITIAL_BYTES)
            os.posix_fallocate(self._f.fileno(), 0, self._capacity)
            self._m = mmap.mmap(self._f.fileno(), self._capacity)
        except OSError as error:
            self._capacity = INITIAL_BYTES
            self._keep_to_itself(error, b"")

    def _keep_to_itself(self, error: OSError, content: bytes) -> None:
        """Go on in memory of this process, with what was counted so far."""
        logger.warning("metrics_not_shared: %s", error)
        if self._f is not None:
            self._f.close()
            self._f = None
            Path(self._fname).unlink(missing_ok=True)  # readers would take it for all of this process's values
        self._m = mmap.mmap(-1, self._capacity)
        self._m[: len(content)] = content

    def _read_positions(self) -> None:
        self._used = struct.unpack_from("i", self._m, 0)[0]
        if self._used > self._capacity or self._used < 0:
            raise RuntimeError("The file is shorter than it says.")
        if self._used == 0:
            self._used = 8
            self._m[0:4] = struct.pack("i", self._used)
        self._positions = {key: position for key, _, _, position in self._read_all_values()}  # type: ignore[no-untyped-call]
        if not all(map(is_metric_key, self._positions)):
            raise RuntimeError("It holds something else.")

    def _init_value(self, key: str) -> None:
        needed = len(key.encode()) + 32  # its length, padding and two doubles
        while self._used + needed > self._capacity:
            self._grow()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self) -> None:
        content = self._m[: self._used]
        self._m.close()
        self._capacity *= 2
        if self._f is None:
            self._m = mmap.mmap(-1, self._capacity)
            self._m[: len(content)] = content
            return
        try:
            if self._capacity > MAX_BYTES:
                raise OSError(f"{self._fname} would be larger than {MAX_BYTES} bytes")
            os.posix_fallocate(self._f.fileno(), 0, self._capacity)
            self._m = mmap.mmap(self._f.fileno(), self._capacity)
        except OSError as error:
            self._keep_to_itself(error, content)

    def close(self) -> None:
        if self._m is not None:
            self._m.close()
            self._m = None
        if self._f is not None:
            self._f.close()
            self._f = None


def use_allocated_files() -> None:
    """Have prometheus_client write such files. To be called before the first metric is made."""
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]
