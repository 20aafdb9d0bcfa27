"""Rotate the keys that sign access tokens without invalidating tokens, or replace a leaked key at once."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from saas.accounts.sessions import key_files, signing_keys
from saas.accounts.sessions.key_files import KeyFile
from saas.audit.actions import record
from saas.errors import DomainError


class KeyComesFromSetting(DomainError):
    code, title = "key_comes_from_setting", "This key is set by its value: only JWT_KEY_DIR's keys take turns."  # 409


class RotationUnderWay(DomainError):
    code, title = "rotation_under_way", "The next key is published already and waits for its time."  # 409


@dataclass(frozen=True)
class Rotation:
    """``verifies_until`` is when the previous keys stop verifying; None if there are none."""

    signs_from: datetime
    verifies_until: datetime | None


@transaction.atomic
def rotate_signing_key(audience: str) -> Rotation:
    """Publish a new key, which signs ten minutes later; delete keys whose tokens have all expired.

    The previous key verifies until its last token has expired. Raises ``KeyComesFromSetting`` and ``RotationUnderWay``.
    """
    folder, now = _folder(audience), timezone.now().replace(microsecond=0)
    known = signing_keys.key_files_for(audience)
    if known and known[-1].signs_from > now:
        raise RotationUnderWay
    for file in set(known) - set(key_files.key_files_in_use(known, now)):
        file.path.unlink(missing_ok=True)
    new = _add(folder, audience, now + key_files.PUBLISH_AHEAD if known else now)
    return Rotation(new.signs_from, new.signs_from + key_files.LONGEST_TOKEN_LIFETIME if known else None)


@transaction.atomic
def replace_signing_key(audience: str) -> Rotation:
    """Replace a key that may have leaked: a new one signs at once, and tokens of every other key become invalid.

    Clients refresh: refresh tokens and cookies are not signed with it. Raises ``KeyComesFromSetting``.
    """
    folder, known = _folder(audience), signing_keys.key_files_for(audience)
    new = _add(folder, audience, timezone.now().replace(microsecond=0))
    for file in set(known) - {new}:
        file.path.unlink(missing_ok=True)
    return Rotation(new.signs_from, None)


def _folder(audience: str) -> Path:
    folder: Path | None = settings.JWT_KEY_DIR
    if settings.JWT_KEYS[audience] or folder is None:
        raise KeyComesFromSetting
    return folder


def _add(folder: Path, audience: str, signs_from: datetime) -> KeyFile:
    new = key_files.add_key_file(folder, audience, signing_keys.generate_pem, signs_from=signs_from)
    record(
        "jwt_key.added",
        target=signing_keys.read_key_file(new).kid,
        audience=audience,
        signs_from=signs_from.isoformat(),
    )
    return new
