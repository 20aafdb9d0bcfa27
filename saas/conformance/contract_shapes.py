"""Check that a response has the fields of the contract, each of its type."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from saas.conformance.contract import Contract

# No response may contain secrets, whatever fields a service adds.
SECRET = re.compile(r"password|_hash$|hashed|pepper", re.IGNORECASE)


def find_shape_faults(contract: Contract, shape: str, value: Any, where: str = "") -> Iterator[str]:
    """Yield what is wrong with ``value``, as sentences. Fields besides those of ``shape`` are allowed."""
    if not isinstance(value, Mapping):
        yield f"{where or 'the answer'} is no object"
        return
    fields = {name.removesuffix("?"): kind for name, kind in contract.shapes[shape].items()}
    missing = [name for name in contract.shapes[shape] if not name.endswith("?") and name not in value]
    if missing:
        there = ", ".join(sorted(set(value) - set(fields))) or "nothing else"
        yield f"{where or 'the answer'} lacks {', '.join(missing)} (and has {there})"
    for name, kind in fields.items():
        if name in value:
            yield from _find_type_faults(contract, kind, value[name], f"{where}.{name}".strip("."))
    yield from (f"{where}.{name}".strip(".") + " must never be told" for name in value if SECRET.search(name))


def _find_type_faults(contract: Contract, kind: str, value: Any, path: str) -> Iterator[str]:
    if value is None and kind.endswith("?"):
        return
    name, _, rest = kind.removesuffix("?").partition(" ")
    if name == "shape":
        yield from find_shape_faults(contract, rest, value, path)
    elif name == "list" and not isinstance(value, list):
        yield f"{path} is no list"
    elif name == "list":
        for index, item in enumerate(value):
            yield from find_shape_faults(contract, rest, item, f"{path}.{index}")
    elif not _KINDS[name](value, rest):
        yield f"{path} is {value!r:.60}, not {kind!r}"


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _is_whole(value: Any, _: str = "") -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_time(value: Any, _: str) -> bool:
    """Whether it is ISO 8601 with an offset, without which a time is ambiguous."""
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


_KINDS: Mapping[str, Callable[[Any, str], bool]] = {
    "text": lambda value, _: isinstance(value, str),
    "texts": lambda value, _: is_texts(value),
    "token": lambda value, _: isinstance(value, str) and len(value) >= 20,
    "flag": lambda value, _: isinstance(value, bool),
    "whole": _is_whole,
    "number": lambda value, _: isinstance(value, int | float) and not isinstance(value, bool),
    "seconds": lambda value, _: _is_whole(value) and value > 0,
    "time": _is_time,
    "map": lambda value, _: isinstance(value, Mapping),
    "id": lambda value, prefix: isinstance(value, str) and value.startswith(prefix) and len(value) >= len(prefix) + 16,
    "one": lambda value, words: value in words.split()[1:],
}
