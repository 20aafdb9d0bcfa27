"""Anchors: where the hash chain ended at some time, kept where the database's owner cannot write.

Each run that seals events appends the chain's head to the log and, if ``AUDIT_ANCHOR_FILE`` names one, to a file:
``number:digest:signature`` a line. ``audit_verify`` compares every line of the file with the chain.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from saas.audit import signatures
from saas.audit.models import AuditSeal

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Anchor:
    """A link of the chain: ``number:digest``, since there are signatures ``number:digest:signature``."""

    number: int
    digest: str
    signature: str = ""

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """Raises ``ValueError`` for anything else."""
        number, *rest = text.strip().split(":")
        if not 1 <= len(rest) <= 2 or not (number.isascii() and number.isdecimal()):
            raise ValueError("an anchor is number:digest or number:digest:signature")
        return cls(int(number), *rest)

    @classmethod
    def of_seal(cls, seal: AuditSeal) -> "Anchor":
        return cls(seal.number, seal.digest, signatures.sign_anchor(seal.number, seal.digest))

    @property
    def is_ours(self) -> bool:
        return signatures.is_our_anchor(self.number, self.digest, self.signature)

    def __str__(self) -> str:
        return ":".join(part for part in (str(self.number), self.digest, self.signature) if part)


def append_to_file(anchor: Anchor) -> None:
    """Append to ``AUDIT_ANCHOR_FILE``, if there is one. That it cannot be written is reported, and does not stop the sealing."""
    path: Path | None = settings.AUDIT_ANCHOR_FILE
    if path is None:
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(f"{anchor}\n".encode("ascii"))  # one write: lines of two processes do not mix
            os.fsync(file.fileno())
    except OSError as error:
        logger.error("audit_anchor_not_written", extra={"path": str(path), "reason": error.strerror})


def read_anchor_file(path: Path) -> Iterator[tuple[int, Anchor | None]]:
    """Yield each line's number and anchor, ``None`` for a line that we did not sign. Raises ``OSError``."""
    with path.open(encoding="ascii", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                anchor = Anchor.parse(line)
            except ValueError:
                anchor = None
            yield number, anchor if anchor and anchor.is_ours else None
