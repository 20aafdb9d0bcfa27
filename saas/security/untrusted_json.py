"""Read JSON from outside strictly, and take values of the expected type from it.

``read_object`` refuses what parsers disagree on. The ``as_…`` readers never raise: a value of the wrong type counts as absent.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

JSONObject = dict[str, Any]

_LAST_SECOND = 253_402_300_799  # of the year 9999
_LARGEST_INTEGER = 2**53
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)  # linear, whatever it reads
_STEP = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


class InvalidJSON(ValueError):
    """The message is a sentence for the sender; ``__cause__`` is the decoder's own error where there was one."""


def read_object(
    raw: bytes, *, max_depth: int, max_list_items: int | None = None, replace_unstorable: bool = False
) -> JSONObject:
    """Return the JSON object in ``raw`` (UTF-8 without a byte order mark).

    Raises ``InvalidJSON`` for anything else, for nesting deeper than ``max_depth``, a list longer than ``max_list_items``,
    NaN, infinity, a repeated key, and for NUL and lone surrogates, which no database stores: with ``replace_unstorable``
    those become U+FFFD.
    """
    _require_shallow(raw, max_depth)
    try:
        value = _decoder.decode(raw.decode())
    except InvalidJSON:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidJSON("The body is not valid JSON.") from error
    if not isinstance(value, dict):
        raise InvalidJSON("The body must be a JSON object.")
    if max_list_items is not None:
        _require_short_lists(value, max_list_items)
    if b"\\" in raw and b"\\u" in raw:  # only an escape can hold what is not storable; a single byte is found faster
        return _with_strings(value, _replaced if replace_unstorable else _storable)  # type: ignore[no-any-return]
    return value


def as_object(value: object) -> JSONObject:
    """``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[JSONObject]:
    """The objects in a list; other items are left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: object, max_length: int = 255) -> str:
    """A string that every database stores: no NUL, no lone surrogate, cut at ``max_length`` characters; else empty."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode().replace("\x00", "")[:max_length]


def as_identifier(value: object, max_length: int = 255) -> str:
    """A string of at most ``max_length`` characters, else empty: a part of an id would be another id."""
    return value if isinstance(value, str) and len(value) <= max_length else ""


def as_integer(value: object) -> int | None:
    """An integer that fits a column and a double, or ``None``."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _LARGEST_INTEGER:
        return None
    return value


def as_count(value: object, default: int) -> int:
    """An integer that is not negative, else ``default``."""
    number = as_integer(value)
    return default if number is None or number < 0 else number


def as_time(value: object, *, earliest: int = 1) -> datetime | None:
    """Seconds since 1970, from ``earliest`` to the end of the year 9999, as a time in UTC, or ``None``."""
    seconds = as_integer(value)
    return None if seconds is None or not earliest <= seconds <= _LAST_SECOND else datetime.fromtimestamp(seconds, UTC)


def _require_shallow(raw: bytes, max_depth: int) -> None:
    """Count brackets outside strings, before the recursive decoder sees them."""
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(raw):
        depth += _STEP.get(token.group(), 0)
        if depth > max_depth:
            raise InvalidJSON("The body is nested too deeply.")


def _require_short_lists(value: Any, max_items: int) -> None:
    if isinstance(value, list) and len(value) > max_items:
        raise InvalidJSON("A list in the body is too long.")
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            _require_short_lists(item, max_items)


def _with_strings(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_with_strings(item, change) for item in value]
        case dict():
            return {change(key): _with_strings(item, change) for key, item in value.items()}
    return value


def _replaced(text: str) -> str:
    return _NOT_STORABLE.sub("\ufffd", text)


def _storable(text: str) -> str:
    if _NOT_STORABLE.search(text):
        raise InvalidJSON("The body holds a character that is not allowed.")
    return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidJSON("The body holds a number that is too large.")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> JSONObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


# Made once: ``json.loads`` with hooks makes a decoder for each call.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
