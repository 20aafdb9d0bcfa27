"""Console output of commands: tables and progress bars on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

STYLES = {
    "processed": "green",
    "ignored": "dim",
    "queued": "cyan",
    "retry_scheduled": "yellow",
    "replay_queued": "cyan",
    "failed": "bold red",
    "lost": "red",
    "quarantined": "magenta",
}


def console(stream: TextIO, *, no_color: bool = False, force_color: bool = False) -> Console:
    """Return a console that writes to ``stream``: in colour on a terminal or if forced. Lines are never wrapped."""
    return Console(
        file=stream,
        no_color=no_color or None,
        force_terminal=force_color or None,
        highlight=False,
        soft_wrap=True,
        markup=False,
        emoji=False,
    )


def progress(target: Console, *, disable: bool = False) -> Progress:
    """Return a progress bar that shows done, total and elapsed time; nothing at all with ``disable``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=target, disable=disable)


@contextmanager
def waiting(stream: Any, sentence: str) -> Iterator[None]:
    """Say what is being done; on a terminal with the elapsed time for as long as the block runs. ``stream``: a command's."""
    if not stream.isatty():
        stream.write(sentence)
        yield
        return
    with _spinner(stream, sentence):
        yield


def write_each(stream: Any, doing: str, sentences: Iterable[str]) -> int:
    """Write each sentence as it comes, on a terminal above what is being done and the elapsed time. Return how many."""
    count = 0
    with _spinner(stream, doing) if stream.isatty() else nullcontext(stream.write) as write:
        for sentence in sentences:
            write(sentence)
            count += 1
    return count


@contextmanager
def _spinner(stream: Any, doing: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes a line above the spinner."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console(getattr(stream, "_out", stream))) as bar:
        bar.add_task(doing, total=None)
        yield bar.console.print
