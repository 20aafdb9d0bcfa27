"""Parse JSON bodies strictly: one object in UTF-8, of bounded depth, without NaN, NUL, lone surrogates or repeated keys."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from saas.security.untrusted_json import InvalidJSON, read_object

MAX_DEPTH = 64
MAX_LIST_ITEMS = 100


class StrictJSONParser(BaseParser):
    """Anything but a JSON object is refused with 400: no endpoint takes another body."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        _require_utf8(media_type or "")
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise ParseError("The body is too large.")
        try:
            return read_object(raw, max_depth=MAX_DEPTH, max_list_items=MAX_LIST_ITEMS)
        except InvalidJSON as error:
            raise ParseError(str(error)) from error


def _require_utf8(media_type: str) -> None:
    _, _, parameters = media_type.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType(media_type)
