"""How passwords are stored: PBKDF2-SHA256, then HMAC under a pepper that the database does not hold.

A stolen table alone cannot be used to guess passwords. The pepper's id is part of the hash, so that the pepper can be rotated
at login.
"""

import hashlib
import hmac
import unicodedata
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection
from django.utils.crypto import constant_time_compare

from saas.accounts.passwords import hashing_pool

_PEPPER_ID_LENGTH = 8


def normalize_password(password: str) -> str:
    """Return the NFC form: two keyboards may type one password in different forms."""
    return unicodedata.normalize("NFC", password)


class PepperedPBKDF2(PBKDF2PasswordHasher):
    """``pbkdf2_sha256_pep$<iterations>$<pepper id>$<salt>$<hex hmac>``.

    The algorithm's name stays the same when iterations or pepper change: Django equalises timing within one algorithm
    only. A hash under an unknown pepper costs as much time as any other, and verifies nothing.
    """

    algorithm = "pbkdf2_sha256_pep"

    @property
    def iterations(self) -> int:  # type: ignore[override]
        return int(settings.PASSWORD_ITERATIONS)

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        return self._encode(password, salt, iterations or self.iterations, settings.AUTH_PEPPER)

    def verify(self, password: str, encoded: str) -> bool:
        stored = self.decode(encoded)
        peppers = {pepper_id(pepper): pepper for pepper in (settings.AUTH_PEPPER, *settings.AUTH_PEPPER_FALLBACKS)}
        pepper = peppers.get(stored["pepper"])
        again = self._encode(password, stored["salt"], stored["iterations"], pepper or settings.AUTH_PEPPER)
        return constant_time_compare(encoded, again) and pepper is not None

    def decode(self, encoded: str) -> dict[str, Any]:
        algorithm, iterations, pepper, salt, digest = encoded.split("$", 4)
        return {"algorithm": algorithm, "iterations": int(iterations), "pepper": pepper, "salt": salt, "hash": digest}

    def must_update(self, encoded: str) -> bool:
        stored = self.decode(encoded)
        return bool(stored["iterations"] != self.iterations) or stored["pepper"] != pepper_id(settings.AUTH_PEPPER)

    def harden_runtime(self, password: str, encoded: str) -> None:
        stored = self.decode(encoded)
        missing = self.iterations - stored["iterations"]
        if missing > 0:
            self._encode(password, stored["salt"], missing, settings.AUTH_PEPPER)

    def _encode(self, password: str, salt: str, iterations: int, pepper: str) -> str:
        release_connection()
        key = hashing_pool.pbkdf2_sha256(normalize_password(password), salt, iterations)
        digest = hmac.new(pepper.encode(), key, hashlib.sha256).hexdigest()
        return f"{self.algorithm}${iterations}${pepper_id(pepper)}${salt}${digest}"


def release_connection() -> None:
    """Return the connection to the pool while this thread waits and hashes: in a flood of logins the others need it."""
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()


def pepper_id(pepper: str) -> str:
    """Return a short name for a pepper that reveals nothing about it."""
    return hashlib.sha256(b"pepper id:" + pepper.encode()).hexdigest()[:_PEPPER_ID_LENGTH]
