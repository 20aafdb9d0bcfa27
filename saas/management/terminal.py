"""Tables and progress for people who look at a terminal; plain lines where nobody does."""

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
    """Writes to ``stream``: in colour where it is a terminal, or where that is wanted. Lines are never folded."""
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
    """A bar with how many of how many, and for how long."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=target)
