"""Encryption of secrets at rest in table columns (Fernet: AES-128-CBC with HMAC-SHA256)."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class DecryptionFailed(Exception):
    """Encrypted under another key, or not by us."""


def encrypt(text: str, *, secret: str) -> str:
    """Encrypt ``text`` under a key derived from ``secret``."""
    return _key(secret).encrypt(text.encode()).decode("ascii")


def decrypt(encrypted: str, *, secrets: Sequence[str]) -> str:
    """Decrypt what was encrypted under any of ``secrets``, the current one first. Raises ``DecryptionFailed``."""
    try:
        return MultiFernet([_key(secret) for secret in secrets]).decrypt(encrypted.encode()).decode()
    except InvalidToken as error:
        raise DecryptionFailed from error


def encrypted_at(encrypted: str, *, secrets: Sequence[str]) -> int:
    """Return when it was encrypted, in seconds since 1970. Raises ``DecryptionFailed``."""
    try:
        return MultiFernet([_key(secret) for secret in secrets]).extract_timestamp(encrypted.encode())
    except InvalidToken as error:
        raise DecryptionFailed from error


def _key(secret: str) -> Fernet:
    return Fernet(urlsafe_b64encode(hashlib.sha256(b"saas.sealing:" + secret.encode()).digest()))
