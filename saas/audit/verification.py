"""Verification of the audit trail: is it as it was written?

What the database's owner can do without the key is found: an event or seal that is changed, added, dated back, copied or
swapped, a head that is cut without a signed retirement. A tail that is cut off leaves no trace in the database: the
anchors outside it show that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Count, Max, Min

from saas.audit import signatures
from saas.audit.anchors import Anchor, read_anchor_file
from saas.audit.hash_chain import REORDER_WINDOW, link_digest
from saas.audit.models import AuditEvent, AuditEventQuerySet, AuditSeal
from saas.audit.personal_data_verification import PersonalDataVerifier
from saas.audit.trail_start import SigningStart, TrailStart, find_start

BATCH = 1000
LATEST_COMMIT = timedelta(hours=1)  # how much later than a younger event one may be sealed; also the clocks' difference


@dataclass(frozen=True)
class VerificationResult:
    """``head`` is the newest link, ``waiting`` the number of events that are not linked yet."""

    head: AuditSeal | None
    verified: int
    waiting: int
    faults: list[str]


def find_trail_faults(anchors: Sequence[Anchor] = ()) -> Iterator[str]:
    """Yield one sentence for each fault of the whole trail; none if it is as it was written.

    ``anchors`` are compared, and those of ``AUDIT_ANCHOR_FILE``.
    """
    start = find_start()
    yield from _broken_links(start, start.link)
    yield from _copies()
    for event_id in _left_out().values_list("pk", flat=True):
        yield f"Event {event_id} was never sealed."
    yield from _anchor_faults(anchors, start.link)
    yield from _anchor_file_faults(settings.AUDIT_ANCHOR_FILE, start.link)


def verify_recent(count: int) -> VerificationResult:
    """Verify the last ``count`` links only: from the one before them, or from the chain's start if that was retired."""
    head = AuditSeal.objects.order_by("-number").first()
    total = head.number if head else 0
    before = AuditSeal.objects.filter(number=max(0, total - count)).first()
    start = find_start()
    begin = Anchor(before.number, before.digest) if before else start.link
    return VerificationResult(
        head=head,
        verified=max(0, total - begin.number),
        waiting=AuditEvent.objects.unsealed().filter(pk__gt=_newest_sealed() - REORDER_WINDOW).count(),
        faults=list(_broken_links(start, begin)),
    )


def describe_limits() -> Iterator[str]:
    """Yield a sentence for each part of the trail of which less can be shown, or that cannot be erased from."""
    unsigned = AuditSeal.objects.filter(signature="").order_by("number")
    if ends := unsigned.aggregate(first=Min("number"), last=Max("number")) if unsigned.exists() else None:
        yield (
            f"Links {ends['first']} to {ends['last']} are from before there were signatures: they fit together, but the "
            "database's owner could have made them anew."
        )
    if kept := AuditEvent.objects.exclude(plain_address="", plain_reason="").count():
        yield f"{kept} events of that time hold addresses or reasons themselves, until they are retired."


def _broken_links(start: TrailStart, begin: Anchor) -> Iterator[str]:
    number, before, dates, personal_data = begin.number, begin.digest, _Dates(), PersonalDataVerifier()
    for link, event in _links(begin.number):
        if link.number != number + 1:
            yield f"Links {number + 1} to {link.number - 1} are gone."
        elif event is None:
            yield f"Event {link.event_id} is gone (link {link.number})."
        elif link_digest(event, before) != link.digest:
            yield f"Event {link.event_id} is not what it was (link {link.number})."
        elif fault := _signature_fault(start.signing, link, event):
            yield fault
        elif link.signature and dates.is_back_dated(link, event):
            yield f"Event {event.pk} was dated back: it was sealed after younger ones (link {link.number})."
        if event is not None:
            yield from personal_data.faults(event)
        number, before = link.number, link.digest


def _signature_fault(signing: SigningStart, link: AuditSeal, event: AuditEvent) -> str:
    """Return a sentence, or nothing. Only we can sign so; the part before signing began needs none."""
    may_lack = signing.accepts_unsigned(link.number, link.sealed_at)
    if not (signatures.is_our_seal(link) if link.signature else may_lack):
        return f"Link {link.number} was not sealed with our key."
    if not (signatures.is_our_event(event) if event.signature else may_lack):
        return f"Event {event.pk} was not written with our key (link {link.number})."
    return ""


@dataclass
class _Dates:
    """Tracks the newest event time, at most its sealing time, to detect back-dated events."""

    newest: datetime | None = None

    def is_back_dated(self, link: AuditSeal, event: AuditEvent) -> bool:
        latest = self.newest
        self.newest = max(filter(None, (latest, min(event.at, link.sealed_at))))
        return latest is not None and event.at < latest - LATEST_COMMIT


def _copies() -> Iterator[str]:
    """A signed event that was copied keeps its signature, and its nonce."""
    repeated = AuditEvent.objects.exclude(nonce=None).order_by().values("nonce").annotate(count=Count("pk"))
    for nonce in repeated.filter(count__gt=1).values_list("nonce", flat=True):
        ids = list(AuditEvent.objects.filter(nonce=nonce).order_by("pk").values_list("pk", flat=True))
        yield f"Events {', '.join(map(str, ids))} are copies of one."


def _left_out() -> AuditEventQuerySet:
    """Events outside the reorder window, which no run seals any more."""
    rows: AuditEventQuerySet = AuditEvent.objects.unsealed().filter(pk__lte=_newest_sealed() - REORDER_WINDOW)
    return rows.order_by("pk")


def _anchor_faults(anchors: Iterable[Anchor], begin: Anchor) -> Iterator[str]:
    found = dict(
        AuditSeal.objects.filter(number__in={anchor.number for anchor in anchors}).values_list("number", "digest")
    )
    for anchor in anchors:
        if anchor.signature and not anchor.is_ours:
            yield f"The anchor of link {anchor.number} was not made with our key."
        elif anchor.number > begin.number or anchor.number == 0:
            if found.get(anchor.number) != anchor.digest:
                yield f"Link {anchor.number} is gone, or not what the log says it was."
        elif anchor.number == begin.number and anchor.digest != begin.digest:
            yield f"Link {anchor.number}, up to which the trail was retired, is not what the log says it was."


def _anchor_file_faults(path: Path | None, begin: Anchor) -> Iterator[str]:
    """Compare the file's anchors a batch at a time: it has a line for each run that sealed something."""
    if path is None:
        return
    batch: list[Anchor] = []
    try:
        for number, anchor in read_anchor_file(path):
            if anchor is None:
                yield f"Line {number} of AUDIT_ANCHOR_FILE is not an anchor made with our key."
            else:
                batch.append(anchor)
            if len(batch) >= BATCH:
                yield from _anchor_faults(batch, begin)
                batch = []
    except OSError as error:
        yield f"AUDIT_ANCHOR_FILE cannot be read, so that a tail cut off would not be found: {error.strerror}."
    yield from _anchor_faults(batch, begin)


def _links(after: int) -> Iterator[tuple[AuditSeal, AuditEvent | None]]:
    """Yield every link after ``after`` with its event, if that still exists."""
    while links := list(AuditSeal.objects.filter(number__gt=after).order_by("number")[:BATCH]):
        rows = AuditEvent.objects.select_related("personal_data")
        events = rows.in_bulk([link.event_id for link in links])
        yield from ((link, events.get(link.event_id)) for link in links)
        after = links[-1].number


def _newest_sealed() -> int:
    return AuditSeal.objects.order_by("-event_id").values_list("event_id", flat=True).first() or 0
