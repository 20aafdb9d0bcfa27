"""Stripe's signature scheme, over bytes.

The official SDK works on text: a non-ASCII signature or a body that is not UTF-8 raises another exception there, and a
timestamp years ahead passes. So this module verifies, and the tests compare it with the SDK.
"""

import hmac
import re
from collections.abc import Sequence

TOLERANCE_SECONDS = 300  # between the signature's time and ours, in both directions
MAX_HEADER_BYTES = 8192
MAX_SIGNATURES = 64
_TIMESTAMP = re.compile(rb"[0-9]{1,11}")


class BadSignature(Exception):
    """``reason`` is for logs and metrics. The caller learns only that the signature is bad."""

    reason = "no_match"


class Malformed(BadSignature):
    reason = "malformed"


class NoMatch(BadSignature):
    reason = "no_match"


class Stale(BadSignature):
    reason = "stale"


def verify(header: str, body: bytes, *, secrets: Sequence[str], tolerance_seconds: int, now: float) -> None:
    """Raise ``BadSignature`` unless one of ``secrets`` signed exactly ``body`` at most ``tolerance_seconds`` from ``now``.

    Scheme: https://docs.stripe.com/webhooks#verify-manually. Every secret is tried on every ``v1`` whatever matches, so
    that the time reveals nothing. The timestamp may differ in both directions, and is checked after the signature.
    """
    timestamp, signatures = _read(header)
    if not _any_matches(timestamp + b"." + body, signatures, secrets):
        raise NoMatch
    if abs(int(now) - int(timestamp)) > tolerance_seconds:
        raise Stale


def sign(body: bytes, *, secret: str, at: int) -> str:
    """Return the header that a provider sends with ``body``; ``at`` in seconds since 1970."""
    return f"t={at},v1={_signature(str(at).encode() + b'.' + body, secret).decode()}"


def _read(header: str) -> tuple[bytes, list[bytes]]:
    """Return the timestamp's digits and every ``v1``. WSGI decodes headers as Latin-1; other characters cannot match."""
    raw = header.encode("latin-1", "replace")
    if len(raw) > MAX_HEADER_BYTES:
        raise Malformed
    pairs = [item.partition(b"=") for item in raw.split(b",")]
    if any(scheme in {b"t", b"v1"} and not equals for scheme, equals, _ in pairs):
        raise Malformed
    timestamps = [value for scheme, _, value in pairs if scheme == b"t"]
    signatures = [value for scheme, _, value in pairs if scheme == b"v1"]
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]) or len(signatures) > MAX_SIGNATURES:
        raise Malformed
    return timestamps[0], signatures


def _any_matches(message: bytes, signatures: Sequence[bytes], secrets: Sequence[str]) -> bool:
    usable = [secret for secret in secrets if secret.strip()]  # an unset one would be a key that anyone has
    expected = [_signature(message, secret) for secret in usable]
    return any([hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures])  # noqa: C419


def _signature(message: bytes, secret: str) -> bytes:
    return hmac.digest(secret.encode(), message, "sha256").hex().encode()
