"""Password hashes of other systems, which ``manage.py import_users`` brings along. They are verified, never made.

The first login with the right password replaces such a hash by one of ours, under the pepper (Django renews a hash whose
algorithm is not the preferred one).
"""

import base64
import hashlib
import hmac
from abc import ABC, abstractmethod
from typing import Any, NoReturn

import bcrypt
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from django.contrib.auth.hashers import BasePasswordHasher
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import constant_time_compare, pbkdf2

from saas.accounts.passwords import hashing_pool
from saas.accounts.passwords.hashers import normalize_password, release_connection

_BCRYPT_BYTES = 72  # bcrypt reads no more of a password
FIREBASE_BYTES = 32  # of Firebase's 64; as many as its AES key has


class ImportedHasher(BasePasswordHasher, ABC):
    """``<algorithm>$<what the other system stored>``."""

    def verify(self, password: str, encoded: str) -> bool:
        """The other system may have hashed a password as typed, or in its normal form."""
        release_connection()
        stored = encoded.partition("$")[2]
        forms = dict.fromkeys([password, normalize_password(password)])
        return any(hashing_pool.run(self.matches, form.encode(), stored) for form in forms)

    @abstractmethod
    def matches(self, password: bytes, stored: str) -> bool:
        """Whether the password is the one whose hash is ``stored``."""

    def encode(self, password: str, salt: str) -> NoReturn:
        raise ImproperlyConfigured("New passwords are not hashed in another system's way.")

    def decode(self, encoded: str) -> dict[str, Any]:
        return {"algorithm": self.algorithm, "hash": encoded.partition("$")[2]}

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        return {"algorithm": self.algorithm}

    def must_update(self, encoded: str) -> bool:
        return True

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Its cost is another's: nothing makes it equal to ours."""


class ImportedBcrypt(ImportedHasher):
    """``bcrypt$$2b$<cost>$<salt and hash>``, as Django writes it, too."""

    algorithm = "bcrypt"

    def matches(self, password: bytes, stored: str) -> bool:
        try:
            return bcrypt.checkpw(password[:_BCRYPT_BYTES], stored.encode())
        except ValueError:  # a NUL in the password
            return False


class ImportedBcryptSHA256(ImportedBcrypt):
    """Django's bcrypt, of the hexadecimal SHA-256 of the password."""

    algorithm = "bcrypt_sha256"

    def matches(self, password: bytes, stored: str) -> bool:
        return super().matches(hashlib.sha256(password).hexdigest().encode(), stored)


class ImportedArgon2(ImportedHasher):
    """``argon2$argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>``, as Django writes it, too."""

    algorithm = "argon2"

    def matches(self, password: bytes, stored: str) -> bool:
        try:
            Argon2id.verify_phc_encoded(password, f"${stored}")
        except InvalidKey:
            return False
        return True


class ImportedPBKDF2(ImportedHasher):
    """Django's ``pbkdf2_sha256$<iterations>$<salt>$<base64 hash>``."""

    algorithm = "pbkdf2_sha256"
    digest = staticmethod(hashlib.sha256)

    def matches(self, password: bytes, stored: str) -> bool:
        iterations, salt, hash = stored.split("$")
        key = pbkdf2(password, salt, int(iterations), digest=self.digest)
        return constant_time_compare(base64.b64encode(key).decode(), hash)


class ImportedPBKDF2SHA1(ImportedPBKDF2):
    algorithm = "pbkdf2_sha1"
    digest = staticmethod(hashlib.sha1)


class ImportedFirebaseScrypt(ImportedHasher):
    """``firebase_scrypt$<mem cost>$<rounds>$<salt with separator>$<key stream>``, the last two in Base64.

    Firebase encrypts a key of the project, with AES-256-CTR under what scrypt makes of the password. What that encryption
    adds to the project's key is the cipher's key stream, which proves the password alone: so the project's key is not stored.
    Source: https://github.com/firebase/scrypt
    """

    algorithm = "firebase_scrypt"

    def matches(self, password: bytes, stored: str) -> bool:
        mem_cost, rounds, salt, stream = stored.split("$")
        made = firebase_key_stream(password, salt=base64.b64decode(salt), mem_cost=int(mem_cost), rounds=int(rounds))
        return hmac.compare_digest(made, base64.b64decode(stream))


def firebase_key_stream(password: bytes, *, salt: bytes, mem_cost: int, rounds: int) -> bytes:
    """Return the first ``FIREBASE_BYTES`` of the key stream. ``mem_cost``: the binary logarithm of scrypt's N."""
    memory = 2 * 128 * rounds * 2**mem_cost
    key = hashlib.scrypt(password, salt=salt, n=2**mem_cost, r=rounds, p=1, maxmem=memory, dklen=64)
    cipher = Cipher(algorithms.AES(key[:32]), modes.CTR(bytes(16))).encryptor()
    return cipher.update(bytes(FIREBASE_BYTES))
