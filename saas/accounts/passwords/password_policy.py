"""How passwords are stored and which are accepted.

PBKDF2-SHA256, then HMAC under a pepper that the database does not hold: a stolen table alone cannot be guessed against.
The pepper's id stands in the hash, so that it can be rotated at login.
"""

import hashlib
import hmac
import unicodedata
from contextlib import suppress
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.crypto import constant_time_compare

from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import User
from saas.accounts.passwords import hashing_pool
from saas.errors import DomainError

MIN_LENGTH = 12
MAX_LENGTH = 200
_PEPPER_ID_LENGTH = 8


def normalized(password: str) -> str:
    """One form for a password typed on two keyboards (NFC)."""
    return unicodedata.normalize("NFC", password)


class PepperedPBKDF2(PBKDF2PasswordHasher):
    """``pbkdf2_sha256_pep$<iterations>$<pepper id>$<salt>$<hex hmac>``.

    The algorithm's name stays the same when iterations or pepper change: Django equalises timing within one algorithm
    only. A hash under a pepper that is gone costs as much time as any other, and verifies nothing.
    """

    algorithm = "pbkdf2_sha256_pep"

    @property
    def iterations(self) -> int:  # type: ignore[override]
        return int(settings.PASSWORD_ITERATIONS)

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        return self._encode(password, salt, iterations or self.iterations, settings.AUTH_PEPPER)

    def verify(self, password: str, encoded: str) -> bool:
        stored = self.decode(encoded)
        pepper = _peppers().get(stored["pepper"])
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
        _return_connection()
        key = hashing_pool.pbkdf2_sha256(normalized(password), salt, iterations)
        digest = hmac.new(pepper.encode(), key, hashlib.sha256).hexdigest()
        return f"{self.algorithm}${iterations}${pepper_id(pepper)}${salt}${digest}"


def pepper_id(pepper: str) -> str:
    """A short name for a pepper that tells nothing about it."""
    return hashlib.sha256(b"pepper id:" + pepper.encode()).hexdigest()[:_PEPPER_ID_LENGTH]


def _peppers() -> dict[object, str]:
    known = [settings.AUTH_PEPPER, settings.AUTH_PEPPER_PREVIOUS]
    return {pepper_id(pepper): pepper for pepper in known if pepper}


class LengthValidator:
    """Counted in characters as typed, spaces and emoji included."""

    def validate(self, password: str, user: User | None = None) -> None:
        if len(password) < MIN_LENGTH:
            raise ValidationError(f"Use at least {MIN_LENGTH} characters.", code="password_too_short")
        if len(password) > MAX_LENGTH:
            raise ValidationError(f"Use at most {MAX_LENGTH} characters.", code="password_too_long")

    def get_help_text(self) -> str:
        return f"Between {MIN_LENGTH} and {MAX_LENGTH} characters."


DEFAULT_PASSWORDS = ("AdminPass123!",)  # what starters and their documentation give to the first admin


class ContextValidator:
    """Refuses a password that is the account's address or name, the product's, or a default that everybody knows."""

    words: ClassVar[set[str]] = {
        *(password.lower() for password in DEFAULT_PASSWORDS),
        "saas",
        "saas starter",
        "saas-starter",
        "product",
        "parity",
        "webhooks",
    }

    def validate(self, password: str, user: User | None = None) -> None:
        candidate = password.strip().lower()
        if candidate in self.words | self._own_words(user):
            raise ValidationError("Use something that is not your name or address.", code="password_too_obvious")

    def _own_words(self, user: User | None) -> set[str]:
        if user is None:
            return set()
        words = {user.full_name.lower(), user.email.lower(), *user.email.lower().split("@")}
        with suppress(DomainError):
            words.add(canonical_email(user.email))
        return words - {""}

    def get_help_text(self) -> str:
        return "Not your name, your address or the product's name."


def _return_connection() -> None:
    """To the pool, while this thread waits and hashes: in a flood of logins all others need it. Not out of a transaction."""
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()
