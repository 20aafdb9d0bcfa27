"""JSON bodies, strictly: one object in UTF-8, of bounded depth, without NaN, NUL, lone surrogates or repeated keys."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

MAX_DEPTH = 64
MAX_LIST_ITEMS = 100


class StrictJSONParser(BaseParser):
    """Anything but a JSON object is refused with 400: no endpoint of ours takes another body."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        _require_utf8(media_type or "")
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise ParseError("The body is too large.")
        return parse_object(raw)


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``; ``ParseError`` for anything else."""
    _require_shallow(raw)
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ParseError("The body is not valid JSON.") from error
    if not isinstance(value, dict):
        raise ParseError("The body must be a JSON object.")
    _require_clean(value)
    return value


def _require_utf8(media_type: str) -> None:
    _, _, parameters = media_type.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType(media_type)


def _require_shallow(raw: bytes) -> None:
    """Counts brackets outside strings, before the recursive parser sees them."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    in_string = escaped = False
    for byte in raw:
        if in_string:
            escaped, in_string = byte == 0x5C and not escaped, escaped or byte != 0x22
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ParseError("The body is nested too deeply.")
        elif byte in b"]}":
            depth -= 1


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _require_clean(value: Any) -> None:
    match value:
        case str() if not _is_clean(value):
            raise ParseError("The body holds a character that is not allowed.")
        case float() if math.isinf(value):
            raise ParseError("The body holds a number that is too large.")
        case list() if len(value) > MAX_LIST_ITEMS:
            raise ParseError("A list in the body is too long.")
        case list():
            for item in value:
                _require_clean(item)
        case dict():
            for key, item in value.items():
                _require_clean(key)
                _require_clean(item)


def _is_clean(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
