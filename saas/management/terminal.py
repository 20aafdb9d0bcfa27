"""Console output of commands: tables and progress bars on a terminal, plain lines elsewhere."""

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

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


def progress(target: Console) -> Progress:
    """Return a progress bar that shows done, total and elapsed time."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=target)
