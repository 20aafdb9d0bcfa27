"""What ``py-spy record --format raw`` writes: a line for each stack, outermost frame first, and how often it was seen."""

import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

_FRAME = re.compile(r"(?P<function>.+?) \((?P<path>.+?)(:\d+)?\)")
_PACKAGES = "/site-packages/"
_STANDARD = sysconfig.get_path("stdlib") + "/"
_OURS = f"{settings.BASE_DIR}/"
_BENCHMARKS = "saas/tests/"
STANDARD, NATIVE, OTHER = "standard library", "no Python function", "other"
# Packages that are known by another name, or belong together.
_NAMES = {"django": "Django", "psycopg_pool": "psycopg", "psycopg_binary": "psycopg"}


@dataclass(frozen=True)
class Frame:
    function: str
    path: str

    @property
    def owner(self) -> str:
        """Whose code it is: a package of ours, another's by its name, or Python's."""
        if self.function.endswith("Runner.run") and self.path.endswith("/asyncio/runners.py"):
            return "uvloop"  # it is C: what it does itself is seen as time of its caller
        if _PACKAGES in self.path:
            package = self.path.rpartition(_PACKAGES)[2].partition("/")[0].removesuffix(".py")
            return _NAMES.get(package, package)
        if self.path.startswith(_OURS):
            return _part_of_ours(self.path.removeprefix(_OURS))
        return STANDARD if self.path.startswith((_STANDARD, "<")) else OTHER

    def __str__(self) -> str:
        path = self.path.rpartition(_PACKAGES)[2].removeprefix(_OURS).removeprefix(_STANDARD)
        return f"{self.function} ({path})"


def _part_of_ours(path: str) -> str:
    if path.startswith(_BENCHMARKS):
        return "the benchmark"
    parts = path.split("/")
    return "ours: " + "/".join(parts[: 2 if parts[0] == "saas" else 1]).removesuffix(".py")


@dataclass(frozen=True)
class OwnTime:
    """How many samples found whom at work: the innermost frame, not those who wait for it."""

    owners: Counter[str]
    functions: Counter[str]

    @property
    def samples(self) -> int:
        return self.owners.total()


def own_time(text: str) -> OwnTime:
    found = OwnTime(Counter(), Counter())
    for frame, count in _innermost(text):
        found.owners[frame.owner if frame else NATIVE] += count
        found.functions[str(frame) if frame else NATIVE] += count
    return found


def _innermost(text: str) -> Iterator[tuple[Frame | None, int]]:
    """``None`` where native code runs that no Python function called: what is left is the process's own line."""
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        match = _FRAME.fullmatch(stack.rpartition(";")[2])
        yield Frame(match["function"], match["path"]) if match else None, int(count)
