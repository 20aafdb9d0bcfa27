"""Credentials that outlive a session: what still lets a person or program in when every device has been logged out.

An app that issues some says so in its ``credentials.py``, found at start-up:

    issues("api_key", listed=_api_keys, revoke=_revoke_api_keys)

They die with the account's recovery (a password reset) and its ban; logging out everywhere lists them and asks. Whatever
issues one asks ``require_recent_login`` first and announces it by mail (decision 121).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saas.accounts.models import User
from saas.audit.actions import record


@dataclass(frozen=True)
class Credential:
    """One of them, without its secret. ``team_id`` is where it opens a door."""

    kind: str
    id: str
    name: str
    team_id: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class CredentialKind:
    """``listed`` finds those of a person that still work, ``revoke`` ends them and tells how many there were."""

    kind: str
    listed: Callable[[User], Iterator[Credential]]
    revoke: Callable[[User], int]


_kinds: list[CredentialKind] = []


def register_credential_kind(
    kind: str, *, listed: Callable[[User], Iterator[Credential]], revoke: Callable[[User], int]
) -> None:
    """Register a kind of credential."""
    _kinds.append(CredentialKind(kind, listed, revoke))


def credential_kinds() -> list[str]:
    """What ``Credential.kind`` may be."""
    return [issuer.kind for issuer in _kinds]


def list_long_lived_credentials(user: User) -> list[Credential]:
    """All that this person made and that still work, newest first."""
    found = [credential for issuer in _kinds for credential in issuer.listed(user)]
    return sorted(found, key=lambda credential: credential.created_at, reverse=True)


def revoke_long_lived_credentials(user: User, *, by: str, because: str) -> int:
    """End them, inside the caller's transaction; tells how many there were."""
    counts: dict[str, Any] = {issuer.kind: issuer.revoke(user) for issuer in _kinds}
    total: int = sum(counts.values())
    if total:
        record("credentials.revoked", actor=by, target=user.id, because=because, **counts)
    return total
