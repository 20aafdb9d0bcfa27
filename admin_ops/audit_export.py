"""Audit events as CSV or JSON lines, streamed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.http import StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

from admin_ops.serializers.audit import AuditEventShape
from admin_ops.streamed_files import CsvRenderer, JsonLinesRenderer, csv_lines, file_response, json_text
from saas.api.representation import represent
from saas.audit.models import AuditEvent, AuditEventQuerySet

BATCH = 1000
COLUMNS = ["id", "at", "actor", "act_as", "action", "target", "reason", "address", "request_id", "details"]


def table_lines(events: Iterator[AuditEvent]) -> Iterator[str]:
    rows = (represent(AuditEventShape, event) for event in events)
    return csv_lines(COLUMNS, ([row[column] for column in COLUMNS] for row in rows))


def json_lines(events: Iterator[AuditEvent]) -> Iterator[str]:
    for event in events:
        yield json_text(represent(AuditEventShape, event)) + "\n"


@dataclass(frozen=True)
class ExportFormat:
    name: str
    media_type: str
    lines: Callable[[Iterator[AuditEvent]], Iterator[str]]

    def stream(self, rows: AuditEventQuerySet) -> StreamingHttpResponse:
        lines = self.lines(rows.in_batches(BATCH))
        return file_response(lines, name=f"audit.{self.name}", media_type=self.media_type)


EXPORT_FORMATS = {
    kind.name: kind
    for kind in (ExportFormat("csv", "text/csv", table_lines), ExportFormat("jsonl", "application/jsonl", json_lines))
}


RENDERERS = (JSONRenderer, CsvRenderer, JsonLinesRenderer)
