"""Unfold's decorator for list columns, typed."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from unfold.decorators import display as _display

Column = TypeVar("Column", bound=Callable[..., Any])


def display(
    *,
    description: str,
    ordering: str | None = None,
    label: Mapping[str, str] | None = None,
    boolean: bool | None = None,
) -> Callable[[Column], Column]:
    """``label`` shows the value as a badge in the colour that it maps to."""

    def decorate(function: Column) -> Column:
        decorated: Column = _display(function, description=description, ordering=ordering, label=label, boolean=boolean)
        return decorated

    return decorate
