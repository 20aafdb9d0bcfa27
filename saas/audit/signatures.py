"""Signatures over events, seals and anchors, by a key that the database does not hold (HMAC-SHA256, RFC 2104).

``settings.AUDIT_KEY`` signs, ``AUDIT_KEY_FALLBACKS`` verify, too. So the key can be replaced without signing anything again.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from saas.audit.models import AuditEvent, AuditSeal


def sign_event(event: "AuditEvent") -> str:
    """Sign all columns but the id, which the database assigns."""
    return _sign("event", event_content(event))


def sign_seal(seal: "AuditSeal") -> str:
    return _sign("seal", _seal_content(seal))


def sign_anchor(number: int, digest: str) -> str:
    return _sign("anchor", {"number": number, "digest": digest})


def is_our_event(event: "AuditEvent") -> bool:
    return _is_signed("event", event_content(event), event.signature)


def is_our_seal(seal: "AuditSeal") -> bool:
    return _is_signed("seal", _seal_content(seal), seal.signature)


def is_our_anchor(number: int, digest: str, signature: str) -> bool:
    return _is_signed("anchor", {"number": number, "digest": digest}, signature)


def salted_digest(value: str, salt: str) -> str:
    """Return a digest (hex) that shows nothing of ``value`` to who has no salt; empty for an empty value."""
    return hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest() if value else ""


def event_content(event: "AuditEvent") -> dict[str, Any]:
    """All columns of a signed event but its id and its signature."""
    return {
        "at": format_moment(event.at),
        "actor": event.actor,
        "act_as": event.act_as,
        "action": event.action,
        "target": event.target,
        "reason": event.plain_reason,
        "address": event.plain_address,
        "reason_digest": event.reason_digest,
        "address_digest": event.address_digest,
        "request_id": event.request_id,
        "data": event.data,
        "nonce": str(event.nonce),
    }


def format_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def canonical_json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _seal_content(seal: "AuditSeal") -> dict[str, Any]:
    return {
        "number": seal.number,
        "event": seal.event_id,
        "digest": seal.digest,
        "sealed_at": format_moment(seal.sealed_at),
    }


def _sign(purpose: str, content: Mapping[str, Any]) -> str:
    return _signature(settings.AUDIT_KEY, purpose, content)


def _is_signed(purpose: str, content: Mapping[str, Any], signature: str) -> bool:
    candidates = [_signature(key, purpose, content) for key in (settings.AUDIT_KEY, *settings.AUDIT_KEY_FALLBACKS)]
    return any(hmac.compare_digest(candidate.encode(), signature.encode()) for candidate in candidates)


def _signature(key: str, purpose: str, content: Mapping[str, Any]) -> str:
    """The purpose keeps the signature of one kind from being used for another."""
    message = canonical_json({"purpose": purpose, "content": content})
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
