"""Where the trail begins, and from where on events and seals are signed: signed events say both.

A trail that began without signatures stays verifiable as what it was: its links fit together, but the database's owner
could have made them anew. A signed event records where that part ended, so that it cannot grow.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from saas.audit import signatures
from saas.audit.anchors import Anchor
from saas.audit.models import AuditEvent

SIGNING_BEGAN = "audit.signing_began"
RETIRED = "audit.retired"
GENESIS_DIGEST = "0" * 64  # the predecessor of the first link
ROLLOUT = timedelta(hours=1)  # how long processes of the release without signatures may run beside the new ones


@dataclass(frozen=True)
class SigningStart:
    """Links up to ``number`` have no signature, nor what was written and sealed until ``accepted_until``.

    ``first_number`` and ``first_digest`` are of the link before the oldest one: the last that was retired until then.
    """

    number: int = 0
    accepted_until: datetime | None = None
    first_number: int = 0
    first_digest: str = GENESIS_DIGEST

    def accepts_unsigned(self, number: int, sealed_at: datetime) -> bool:
        return number <= self.number or (self.accepted_until is not None and sealed_at <= self.accepted_until)


@dataclass(frozen=True)
class TrailStart:
    """The link before the oldest one, and from where on everything is signed."""

    link: Anchor
    signing: SigningStart


def find_start() -> TrailStart:
    """Find where the trail begins. Records without our signature count for nothing."""
    records = AuditEvent.objects.filter(action__in=[RETIRED, SIGNING_BEGAN]).order_by("pk")
    ours = [event for event in records if event.signature and signatures.is_our_event(event)]
    began = [_read_signing_start(event) for event in ours if event.action == SIGNING_BEGAN]
    signing = began[0] if began else SigningStart()
    link = Anchor(signing.first_number, signing.first_digest)
    for event in ours:
        if event.action == RETIRED and event.data["number"] >= link.number:
            link = Anchor(event.data["number"], event.data["digest"])
    return TrailStart(link, signing)


def record_signing_start(event_model: Any, seal_model: Any) -> None:
    """Record it, if the trail holds events without signatures. The models are those of the migration that calls this."""
    if not event_model.objects.exists():
        return
    head = seal_model.objects.order_by("-number").first()
    retired = event_model.objects.filter(action=RETIRED).order_by("-pk").first()
    event = event_model(
        action=SIGNING_BEGAN,
        actor="system",
        data={
            "number": head.number if head else 0,
            "first_number": retired.data["number"] if retired else 0,
            "first_digest": retired.data["digest"] if retired else GENESIS_DIGEST,
        },
        reason_digest="",
        address_digest="",
        nonce=uuid4(),
    )
    event.signature = signatures.sign_event(event)
    event.save(force_insert=True)


def _read_signing_start(event: AuditEvent) -> SigningStart:
    data = event.data
    return SigningStart(data["number"], event.at + ROLLOUT, data["first_number"], data["first_digest"])
