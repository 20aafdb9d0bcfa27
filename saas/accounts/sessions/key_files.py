"""Signing keys in a folder, for rotation: a file's name holds the audience and the time from which the key signs.

    saas.20261125T021500Z.pem

All processes that see the folder agree by the clock on the key that signs; none needs a restart. A key is published before
it signs, and stays until every token that it signed has expired.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from saas import env

LONGEST_TOKEN_LIFETIME = timedelta(
    minutes=31
)  # the longest lifetime that can be set, and a minute for clock differences
PUBLISH_AHEAD = timedelta(minutes=10)  # twice as long as clients may cache the public keys
_CLOCK_TICK_NS = 2_000_000_000  # more than a file system's
_STAMP = "%Y%m%dT%H%M%SZ"
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class KeyFile:
    signs_from: datetime
    path: Path


def list_key_files(folder: Path, audience: str) -> list[KeyFile]:
    """Return the audience's keys in the order in which they sign. Called for every token: lists the folder only after a
    change."""
    now, changed_at = time.time_ns(), folder.stat().st_mtime_ns if folder.is_dir() else 0
    is_settled = now - changed_at > _CLOCK_TICK_NS  # otherwise another change could have the same timestamp
    return [*_listed(folder, audience, changed_at if is_settled else now)]


@lru_cache(maxsize=8)
def _listed(folder: Path, audience: str, as_of: int) -> list[KeyFile]:
    return sorted(KeyFile(_signs_from(path), path) for path in folder.glob(f"{audience}.*.pem"))


def list_or_create_key_files(folder: Path, audience: str, make: Callable[[], str]) -> list[KeyFile]:
    """Like ``list_key_files``, but create a first key if there is none. Processes that start together agree on it."""
    return list_key_files(folder, audience) or [add_key_file(folder, audience, make, signs_from=_FIRST)]


def key_files_in_use(files: list[KeyFile], now: datetime) -> list[KeyFile]:
    """Return the keys whose tokens may be valid now or later: a key drops out once its successor has signed long enough."""
    over = [file for file in files if file.signs_from <= now - LONGEST_TOKEN_LIFETIME]
    return files[max(len(over) - 1, 0) :]


def add_key_file(folder: Path, audience: str, make: Callable[[], str], *, signs_from: datetime) -> KeyFile:
    """Write a new key file, readable by its owner only."""
    path = folder / f"{audience}.{signs_from.astimezone(UTC).strftime(_STAMP)}.pem"
    env.read_or_create(path, make)
    return KeyFile(_signs_from(path), path)


def _signs_from(path: Path) -> datetime:
    return datetime.strptime(path.name.split(".")[1], _STAMP).replace(tzinfo=UTC)
