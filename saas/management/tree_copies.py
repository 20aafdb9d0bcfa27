"""Trying changes of the source in copies of the tree, as many at once as there are cores."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

Change = TypeVar("Change")
Result = TypeVar("Result")

# What no test needs, where there is no git to say what belongs to the tree.
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "node_modules", ".*_cache", ".hypothesis")


@dataclass(frozen=True)
class TreeCopy:
    """``number`` counts the copies from 0, for what each needs for itself, such as a database."""

    path: Path
    number: int

    @contextmanager
    def changed(self, path: str, source: str) -> Iterator[None]:
        """Give the module at ``path`` another source inside the block."""
        file = self.path / path
        original = file.read_text(encoding="utf-8")
        _write(file, source)
        try:
            yield
        finally:
            _write(file, original)


def try_in_copies(
    root: Path, changes: Iterable[Change], attempt: Callable[[TreeCopy, Change], Result]
) -> Iterator[Result]:
    """Yield the outcome of each change, in their order. ``attempt`` has its copy to itself."""
    workers = os.cpu_count() or 1
    with ExitStack() as stack:
        free: SimpleQueue[TreeCopy] = SimpleQueue()
        for number in range(workers):
            free.put(TreeCopy(stack.enter_context(copy_of_tree(root)), number))

        def attempt_in_a_free_one(change: Change) -> Result:
            copy = free.get()
            try:
                return attempt(copy, change)
            finally:
                free.put(copy)

        yield from stack.enter_context(ThreadPoolExecutor(workers)).map(attempt_in_a_free_one, changes)


def _write(file: Path, source: str) -> None:
    """Write a module so that Python reads it again: it knows a change by the second and the size only."""
    file.write_text(source, encoding="utf-8")
    Path(cache_from_source(str(file))).unlink(missing_ok=True)


@contextmanager
def copy_of_tree(root: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        files = _files_of_git(root)
        if files is None:
            shutil.copytree(root, copy, ignore=_LEFT_OUT)
        for file in files or ():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / file, copy / file)
        yield copy


def _files_of_git(root: Path) -> list[str] | None:
    """The tree's files, new ones too; None where git does not know."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return [file for file in done.stdout.split("\0") if file and (root / file).is_file()]
