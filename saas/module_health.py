"""What a module says of itself: its features, and a check that runs when somebody asks."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Module:
    """``check`` exercises the module and raises if it does not work. ``features`` are words for people, never settings."""

    name: str
    features: tuple[str, ...]
    check: Callable[[], None]
