"""The register of long-lived credentials: those that still work after every session has ended, such as API keys.

An app registers its kinds in its ``credentials.py``, which is imported at start-up:

    register_credential_kind("api_key", listed=_api_keys, revoke=_revoke_api_keys)

A password reset and a ban revoke them; logging out everywhere lists them and offers to revoke them. An action that issues one
calls ``require_recent_login`` first and announces it by mail (decision 121).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saas.accounts.models import User
from saas.audit.actions import record


@dataclass(frozen=True)
class LongLivedCredential:
    """One credential, without its secret. ``team_id`` is the team that it gives access to."""

    kind: str
    id: str
    name: str
    team_id: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class CredentialKind:
    """``listed`` yields a person's credentials that still work; ``revoke`` ends them and returns how many there were."""

    kind: str
    listed: Callable[[User], Iterator[LongLivedCredential]]
    revoke: Callable[[User], int]


_kinds: list[CredentialKind] = []


def register_credential_kind(
    kind: str, *, listed: Callable[[User], Iterator[LongLivedCredential]], revoke: Callable[[User], int]
) -> None:
    """Register a kind of credential."""
    _kinds.append(CredentialKind(kind, listed, revoke))


def list_long_lived_credentials(user: User) -> list[LongLivedCredential]:
    """Return all credentials that this person issued and that still work, newest first."""
    found = [credential for kind in _kinds for credential in kind.listed(user)]
    return sorted(found, key=lambda credential: credential.created_at, reverse=True)


def revoke_long_lived_credentials(user: User, *, by: str, because: str) -> int:
    """Revoke all of a person's, inside the caller's transaction; return how many there were."""
    counts: dict[str, Any] = {kind.kind: kind.revoke(user) for kind in _kinds}
    total: int = sum(counts.values())
    if total:
        record("credentials.revoked", actor=by, target=user.id, because=because, **counts)
    return total
