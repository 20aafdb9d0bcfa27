"""Retiring the oldest segment of the trail, so that the rest can still be verified. Only the tables' owner can.

The oldest links and their events are written to a file, then deleted, with the personal values beside them, which are no
part of the file: it could not be erased from. An audit event, signed and linked like any other, records the last retired
link, its digest and the file's SHA-256. Deleting more than that breaks the chain (``verification``).
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from saas.audit.actions import record
from saas.audit.models import AuditEvent, AuditPersonalData, AuditSeal
from saas.audit.trail_start import RETIRED
from saas.operations.retention.rules import keep

if TYPE_CHECKING:
    from django.db.backends.utils import CursorWrapper

BATCH = 1000


@dataclass(frozen=True)
class ChainSegment:
    """The links up to ``number``, whose last digest is ``digest``."""

    number: int
    digest: str
    events: int


def oldest_segment(before: datetime) -> ChainSegment | None:
    """Return the links before the first one whose event is not older than ``before``; ``None`` if there are none."""
    younger = AuditSeal.objects.filter(event__at__gte=before).order_by("number").values_list("number", flat=True)
    first_kept = younger.first()
    old = AuditSeal.objects.filter(number__lt=first_kept) if first_kept else AuditSeal.objects.all()
    last = old.order_by("-number").first()
    return ChainSegment(last.number, last.digest, old.count()) if last else None


def retire_segment(part: ChainSegment, archive: BinaryIO, *, by: str, reason: str) -> str:
    """Write the segment to ``archive``, one JSON object a line, then delete it. Return the archive's SHA-256.

    Needs the tables' owner: the runtime role may neither delete nor switch the triggers off.
    """
    digest = hashlib.sha256()
    for line in _lines(part):
        archive.write(line)
        digest.update(line)
    archive.flush()
    _delete_segment(part, by=by, reason=reason, archive_sha256=digest.hexdigest())
    return digest.hexdigest()


def _lines(part: ChainSegment) -> Iterator[bytes]:
    last = 0
    while links := list(
        AuditSeal.objects.filter(number__gt=last, number__lte=part.number)
        .select_related("event")
        .order_by("number")[:BATCH]
    ):
        for link in links:
            event = {field.name: getattr(link.event, field.name) for field in AuditEvent._meta.concrete_fields}
            line = {"number": link.number, "digest": link.digest, "signature": link.signature, "event": event}
            yield json.dumps(line, cls=DjangoJSONEncoder, sort_keys=True).encode() + b"\n"
        last = links[-1].number


@transaction.atomic
def _delete_segment(part: ChainSegment, *, by: str, reason: str, archive_sha256: str) -> None:
    """In one transaction with the audit event about it. Other sessions never see the triggers off."""
    events, seals = AuditEvent._meta.db_table, AuditSeal._meta.db_table
    retired = AuditSeal.objects.filter(number__lte=part.number).values("event")
    AuditPersonalData.objects.filter(event__in=retired).delete()
    with connection.cursor() as cursor:
        _switch_triggers(cursor, "DISABLE")
        cursor.execute(
            f"DELETE FROM {events} WHERE id IN (SELECT event_id FROM {seals} WHERE number <= %s)",  # noqa: S608
            [part.number],
        )
        cursor.execute(f"DELETE FROM {seals} WHERE number <= %s", [part.number])  # noqa: S608
        _switch_triggers(cursor, "ENABLE")
    record(
        RETIRED, actor=by, reason=reason, number=part.number, digest=part.digest, events=part.events,
        archive_sha256=archive_sha256,
    )  # fmt: skip


def _switch_triggers(cursor: "CursorWrapper", state: str) -> None:
    if connection.vendor != "postgresql":
        return
    if state == "DISABLE":
        cursor.execute("SET LOCAL statement_timeout = 0")
    for model in (AuditEvent, AuditSeal):
        cursor.execute(f"ALTER TABLE {model._meta.db_table} {state} TRIGGER rows_only_grow")


keep(AuditEvent, AuditSeal, reason="The trail stays whole; its oldest part goes by `audit_retire`.")
keep(AuditPersonalData, reason="It goes with its event, or with the account that it is about.")
