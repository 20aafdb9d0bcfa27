"""Audit events as CSV or JSON lines, streamed."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

from admin_ops.serializers.audit import AuditEventShape
from saas.api.representation import represent
from saas.audit.models import AuditEvent, AuditEventQuerySet

BATCH = 1000
COLUMNS = ["id", "at", "actor", "act_as", "action", "target", "reason", "address", "request_id", "details"]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file for ``csv.writer`` whose ``write`` returns the line."""

    def write(self, line: str) -> str:
        return line


def csv_lines(events: Iterator[AuditEvent]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for event in events:
        row = represent(AuditEventShape, event)
        yield writer.writerow([_cell(row[column]) for column in COLUMNS])


def json_lines(events: Iterator[AuditEvent]) -> Iterator[str]:
    for event in events:
        yield _json(represent(AuditEventShape, event)) + "\n"


def _cell(value: Any) -> str:
    """Prefix an apostrophe to what a spreadsheet would run as a formula."""
    text = value if isinstance(value, str) else _json(value).strip('"')
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _json(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder, ensure_ascii=False)


@dataclass(frozen=True)
class ExportFormat:
    name: str
    media_type: str
    lines: Callable[[Iterator[AuditEvent]], Iterator[str]]

    def stream(self, rows: AuditEventQuerySet) -> StreamingHttpResponse:
        return StreamingHttpResponse(
            self.lines(rows.in_batches(BATCH)),
            content_type=f"{self.media_type}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="audit.{self.name}"', "Cache-Control": "no-store"},
        )


EXPORT_FORMATS = {
    kind.name: kind
    for kind in (ExportFormat("csv", "text/csv", csv_lines), ExportFormat("jsonl", "application/jsonl", json_lines))
}


class _FileRenderer(BaseRenderer):
    """Accepts the media type; the answer is streamed, not rendered."""

    charset = "utf-8"


class CsvRenderer(_FileRenderer):
    media_type, format = "text/csv", "csv"


class JsonLinesRenderer(_FileRenderer):
    media_type, format = "application/jsonl", "jsonl"


RENDERERS = (JSONRenderer, CsvRenderer, JsonLinesRenderer)
