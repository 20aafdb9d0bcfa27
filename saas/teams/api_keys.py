"""API keys: ``saas_``, 40 random characters, 6 of checksum (CRC-32, base 62). Shown once, stored as a hash.

By the checksum a mistyped or cut key is refused without a query, and secret scanners recognise a real key.
"""

import zlib
from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import get_random_string

from saas.accounts.email_verification import EmailNotVerified
from saas.accounts.sessions import tokens
from saas.audit.actions import record
from saas.errors import NotFound
from saas.mail.actions import queue_mail
from saas.teams.actors import Actor, lock_team_for, require_sessions_not_revoked
from saas.teams.models import ApiKey
from saas.teams.plan_limits import require_free_api_key
from saas.teams.roles import Permission, Scope

KEY_PREFIX = "saas_"
VISIBLE_PREFIX_LENGTH = len(KEY_PREFIX) + 8
LAST_USED_RESOLUTION = timedelta(minutes=1)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH, _CHECKSUM_LENGTH = 40, 6


@transaction.atomic
def create_api_key(actor: Actor, *, name: str, scopes: Collection[Scope], expires_in_days: int) -> tuple[ApiKey, str]:
    """The new key's row, and the key itself, which is never shown again. Ask ``require_recent_login`` first.

    Raises ``EmailNotVerified``, ``ApiKeyLimitReached``.
    """
    asked, actor = actor, lock_team_for(actor, Permission.MANAGE_API_KEYS)
    require_sessions_not_revoked(asked)
    require_verified_email(actor)
    require_free_api_key(actor.team)
    random, now = get_random_string(_RANDOM_LENGTH, _ALPHABET), timezone.now()
    raw = KEY_PREFIX + random + _checksum(random)
    key = ApiKey.objects.create(
        team=actor.team,
        created_by=actor.membership.user,
        name=name,
        prefix=raw[:VISIBLE_PREFIX_LENGTH],
        key_hash=tokens.hash_token(raw),
        scopes=" ".join(scope for scope in Scope if scope in scopes),
        created_at=now,
        expires_at=now + timedelta(days=expires_in_days),
    )
    record("api_key.created", actor=actor.id, target=actor.team.id, key=key.id, scopes=key.scopes)
    _mail_maker_and_owner(key)
    return key, raw


def _mail_maker_and_owner(key: ApiKey) -> None:
    """To the key's maker, in case another person used their account, and to the team's owner."""
    maker, team = key.created_by, key.team
    for person in {maker, team.owner}:
        queue_mail(
            "api_key_created",
            to=person.email,
            locale=person.locale,
            context={
                "name": person.full_name,
                "key": key.name,
                "team": team.name,
                "team_id": team.id,
                "maker": maker.full_name or maker.email,
                "may": "read and write" if Scope.WRITE in key.scope_list else "read",
                "until": person.written_day(key.expires_at),
            },
            dedupe_key=f"api_key_created:{key.id}:{person.id}",
        )


def require_verified_email(actor: Actor) -> None:
    """Raise ``EmailNotVerified`` for a member with an unconfirmed address."""
    if not actor.membership.user.is_verified:
        raise EmailNotVerified


@transaction.atomic
def revoke_api_key(actor: Actor, key: ApiKey) -> None:
    """Revoke a key: its next request is refused."""
    actor = lock_team_for(actor, Permission.MANAGE_API_KEYS)
    if not ApiKey.objects.current().filter(pk=key.pk).update(revoked_at=timezone.now()):
        raise NotFound
    record("api_key.revoked", actor=actor.id, target=actor.team.id, key=key.id)


def find_usable_key(raw: str) -> ApiKey | None:
    """Return the usable key that ``raw`` is, with its maker, and write "last used", at most once a minute."""
    if not _is_well_formed(raw):
        return None
    now = timezone.now()
    key = ApiKey.objects.usable(now).select_related("created_by").filter(key_hash=tokens.hash_token(raw)).first()
    if key and (key.last_used_at is None or now - key.last_used_at >= LAST_USED_RESOLUTION):
        long_ago = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_RESOLUTION)
        ApiKey.objects.filter(long_ago, pk=key.pk).update(last_used_at=now)
    return key


def _is_well_formed(raw: str) -> bool:
    body = raw.removeprefix(KEY_PREFIX)
    if len(raw) != len(KEY_PREFIX) + _RANDOM_LENGTH + _CHECKSUM_LENGTH or not raw.isascii():
        return False
    return _checksum(body[:_RANDOM_LENGTH]) == body[_RANDOM_LENGTH:]


def _checksum(random: str) -> str:
    number = zlib.crc32(random.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
