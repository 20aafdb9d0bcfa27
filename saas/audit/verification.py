"""Verification of the audit trail: is it as it was written?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saas.audit.hash_chain import GENESIS_DIGEST, REORDER_WINDOW, link_digest
from saas.audit.models import AuditEvent, AuditSeal
from saas.audit.retention import RETIRED

BATCH = 1000


@dataclass(frozen=True)
class Anchor:
    """A link from the log, ``number:digest``."""

    number: int
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """Raises ``ValueError`` for anything else."""
        number, colon, digest = text.partition(":")
        if not colon:
            raise ValueError("an anchor is number:digest")
        return cls(int(number), digest)


def find_faults(anchors: Sequence[Anchor] = ()) -> Iterator[str]:
    """Yield one sentence for each fault of the whole trail; none if it is as it was written."""
    begin = _chain_start()
    yield from _broken_links(begin)
    left_out = AuditEvent.objects.unsealed().filter(pk__lte=_newest_sealed() - REORDER_WINDOW).order_by("pk")
    for event_id in left_out.values_list("pk", flat=True):  # it is outside the reorder window
        yield f"Event {event_id} was never sealed."
    for anchor in anchors:
        if anchor.number > begin.number or anchor.number == 0:
            if not AuditSeal.objects.filter(number=anchor.number, digest=anchor.digest).exists():
                yield f"Link {anchor.number} is gone, or not what the log says it was."
        elif anchor.number == begin.number and anchor.digest != begin.digest:
            yield f"Link {anchor.number}, up to which the trail was retired, is not what the log says it was."


@dataclass(frozen=True)
class VerificationResult:
    """``head`` is the newest link, ``waiting`` the number of events that are not linked yet."""

    head: AuditSeal | None
    verified: int
    waiting: int
    faults: list[str]


def verify_recent(count: int) -> VerificationResult:
    """Verify the last ``count`` links only: from the one before them, or from the chain's start if that was retired."""
    head = AuditSeal.objects.order_by("-number").first()
    total = head.number if head else 0
    before = AuditSeal.objects.filter(number=max(0, total - count)).first()
    begin = Anchor(before.number, before.digest) if before else _chain_start()
    return VerificationResult(
        head=head,
        verified=max(0, total - begin.number),
        waiting=AuditEvent.objects.unsealed().filter(pk__gt=_newest_sealed() - REORDER_WINDOW).count(),
        faults=list(_broken_links(begin)),
    )


def _chain_start() -> Anchor:
    """Return the link before the chain's first one: the last retired one, if any."""
    retired = AuditEvent.objects.filter(action=RETIRED).order_by("-pk").first()
    return Anchor(retired.data["number"], retired.data["digest"]) if retired else Anchor(0, GENESIS_DIGEST)


def _broken_links(begin: Anchor) -> Iterator[str]:
    number, before = begin.number, begin.digest
    for link, event in _links(begin.number):
        if link.number != number + 1:
            yield f"Links {number + 1} to {link.number - 1} are gone."
        elif event is None:
            yield f"Event {link.event_id} is gone (link {link.number})."
        elif link_digest(event, before) != link.digest:
            yield f"Event {link.event_id} is not what it was (link {link.number})."
        number, before = link.number, link.digest


def _links(after: int) -> Iterator[tuple[AuditSeal, AuditEvent | None]]:
    """Yield every link after ``after`` with its event, if that still exists."""
    while links := list(AuditSeal.objects.filter(number__gt=after).order_by("number")[:BATCH]):
        events = AuditEvent.objects.in_bulk([link.event_id for link in links])
        yield from ((link, events.get(link.event_id)) for link in links)
        after = links[-1].number


def _newest_sealed() -> int:
    return AuditSeal.objects.order_by("-event_id").values_list("event_id", flat=True).first() or 0
