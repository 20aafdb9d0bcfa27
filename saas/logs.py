"""Logging: one event a line, with the request id and without secrets.

In production each line is a JSON object, written by structlog; in development a readable line.
"""

import json
import logging
from collections.abc import MutableMapping
from typing import Any

import structlog
from django.conf import settings

from saas import request_context
from saas.security import redaction

Event = MutableMapping[str, Any]


class ContextFilter(logging.Filter):
    """Adds the request id and the user of the running request or task to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        current = request_context.current()
        record.request_id = current.request_id or "-"
        record.user_id = current.user_id
        return True


STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id", "user_id"}
LIBRARY_LOGGERS = ("django", "celery", "kombu")  # their extra fields are objects for their own handlers


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that our code gave as ``extra``."""
    if record.name.partition(".")[0] in LIBRARY_LOGGERS:
        return {}
    return redaction.redact_fields({name: value for name, value in vars(record).items() if name not in STANDARD_FIELDS})


class LineFormatter(logging.Formatter):
    """``time level request-id logger message field=value …``, the fields being what the code gave as ``extra``.

    A traceback follows on its own lines, everything else stays on one.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(request_id)s %(name)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return redaction.redact_text(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={value!r}" for name, value in extra_fields(record).items()]
        text = " ".join([super().formatMessage(record), *fields])
        if text.isprintable():
            return text
        # Escape control characters, so that they neither end the line nor colour the terminal.
        return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def json_formatter() -> logging.Formatter:
    """One JSON object a line: ``time``, ``level``, ``logger``, ``event``, ``request_id``, ``user``, ``service``, the fields
    that the code gave, and ``exception`` with its traceback."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_describe],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer(serializer=json.dumps),
        ],
    )


def _describe(logger: object, method: str, event: Event) -> Event:
    record: logging.LogRecord = event["_record"]
    described = {
        "time": structlog.processors.TimeStamper(fmt="iso", utc=True)(None, "", {})["timestamp"],
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.pop("event"),
        "request_id": getattr(record, "request_id", "-"),
        "user": getattr(record, "user_id", ""),
        "service": settings.SERVICE if settings.PROCESS == "service" else settings.PROCESS,
    }
    event.update({**extra_fields(record), **described})
    return event


def _redact(logger: object, method: str, event: Event) -> Event:
    return {name: value if name in _PLAIN else redaction.redact_value(value) for name, value in event.items()}


_PLAIN = {"time", "level", "logger", "request_id", "user", "service"}
