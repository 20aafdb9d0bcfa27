"""Files that are streamed to staff, line by line."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer
from rest_framework.utils.encoders import JSONEncoder

from saas import request_context

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NEGATIVE = re.compile(r"-[0-9]+(\.[0-9]+)?")


class _FileRenderer(BaseRenderer):
    """Accepts the media type; the answer is streamed, not rendered."""

    charset = "utf-8"


class CsvRenderer(_FileRenderer):
    media_type, format = "text/csv", "csv"


class JsonLinesRenderer(_FileRenderer):
    media_type, format = "application/jsonl", "jsonl"


def file_response(lines: Iterator[str], *, name: str, media_type: str) -> StreamingHttpResponse:
    """Stream ``lines``. Their rows may come from a replica, although auditing the export has just written: not to them."""
    request_context.allow_old_reads()
    return StreamingHttpResponse(
        request_context.keep_context(lines),
        content_type=f"{media_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


class _Echo:
    """A file for ``csv.writer`` whose ``write`` returns the line."""

    def write(self, line: str) -> str:
        return line


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A line with the names of the columns, and one for each row."""
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_cell(value) for value in row])


def json_text(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder, ensure_ascii=False)


def _cell(value: Any) -> str:
    """Prefix an apostrophe to what a spreadsheet would run as a formula; not to a negative number, which would no longer be
    added up."""
    text = value if isinstance(value, str) else json_text(value).strip('"')
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NEGATIVE.fullmatch(text) else text
