"""Recognize the password hashes of other systems, and bring them into the form that ``passwords.imported_hashers`` verify."""

import base64
import binascii
import re
from dataclasses import dataclass

from saas.accounts.models import User
from saas.accounts.passwords.imported_hashers import FIREBASE_BYTES

_MAX_LENGTH: int = User._meta.get_field("password").max_length or 0
# A login must cost neither a minute nor a gigabyte.
MAX_BCRYPT_COST = 15
MAX_ARGON2_KIB, MAX_ARGON2_PASSES, MAX_ARGON2_LANES = 262_144, 20, 16
MAX_PBKDF2_ITERATIONS = 5_000_000
MAX_MEM_COST, MAX_ROUNDS = 16, 16

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_ARGON2 = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}")
_PBKDF2 = re.compile(r"(pbkdf2_sha256|pbkdf2_sha1)\$(\d+)\$([^$]+)\$([A-Za-z0-9+/]+={0,2})")


class UnusableHash(Exception):
    """Its message is a sentence that says why a hash cannot be imported, never the hash."""


@dataclass(frozen=True)
class FirebaseParameters:
    """The hash parameters of a Firebase project, as its console shows them (Authentication, Users, menu)."""

    signer_key: bytes
    salt_separator: bytes
    rounds: int
    mem_cost: int


def firebase_parameters(*, signer_key: str, salt_separator: str, rounds: int, mem_cost: int) -> FirebaseParameters:
    """Read the parameters, both texts in Base64. Raises ``UnusableHash``."""
    key = _decoded(signer_key, "Firebase's signer key")
    if len(key) < FIREBASE_BYTES:
        raise UnusableHash("Firebase's signer key is too short.")
    if not 1 <= rounds <= MAX_ROUNDS or not 1 <= mem_cost <= MAX_MEM_COST:
        raise UnusableHash(f"Firebase's rounds are at most {MAX_ROUNDS}, its mem cost at most {MAX_MEM_COST}.")
    return FirebaseParameters(key, _decoded(salt_separator, "Firebase's salt separator"), rounds, mem_cost)


def stored_hash(text: str, *, salt: str = "", firebase: FirebaseParameters | None = None) -> str:
    """Return what is stored for a hash; empty for none, and for Django's mark of no password. Raises ``UnusableHash``."""
    if not text or text.startswith("!"):
        return ""
    encoded = _firebase(text, salt, firebase) if salt else _self_describing(text)
    if len(encoded) > _MAX_LENGTH:
        raise UnusableHash(f"Its password hash is longer than {_MAX_LENGTH} characters.")
    return encoded


def _self_describing(text: str) -> str:
    algorithm, _, rest = text.partition("$")
    if algorithm in {"bcrypt", "bcrypt_sha256"}:  # Django's form
        return f"{algorithm}${_bcrypt(rest)}"
    if algorithm == "argon2":
        return _argon2(f"${rest}")
    if text.startswith("$2"):
        return f"bcrypt${_bcrypt(text)}"
    if text.startswith("$argon2"):
        return _argon2(text)
    if algorithm.startswith("pbkdf2_"):
        return _pbkdf2(text)
    raise UnusableHash(
        "Its password hash is none of bcrypt, argon2id, Django's PBKDF2 or, with a salt, Firebase's scrypt."
    )


def _bcrypt(text: str) -> str:
    found = _BCRYPT.fullmatch(text)
    if not found or not 4 <= int(found[1]) <= MAX_BCRYPT_COST:
        raise UnusableHash(f"Its bcrypt hash is damaged, or its cost is above {MAX_BCRYPT_COST}.")
    return f"$2b${text[4:]}" if text.startswith("$2y$") else text  # PHP's name of the same


def _argon2(text: str) -> str:
    found = _ARGON2.fullmatch(text)
    limits = (MAX_ARGON2_KIB, MAX_ARGON2_PASSES, MAX_ARGON2_LANES)
    if not found or any(not 1 <= int(found[at + 1]) <= limit for at, limit in enumerate(limits)):
        raise UnusableHash("Its argon2 hash is damaged, not argon2id of version 19, or costs too much to verify.")
    return f"argon2{text}"


def _pbkdf2(text: str) -> str:
    found = _PBKDF2.fullmatch(text)
    if not found or not 1 <= int(found[2]) <= MAX_PBKDF2_ITERATIONS:
        raise UnusableHash("Its PBKDF2 hash is not one of Django's, or costs too much to verify.")
    return text


def _firebase(text: str, salt: str, parameters: FirebaseParameters | None) -> str:
    if parameters is None:
        raise UnusableHash("Its hash has a salt of its own, as Firebase's: give --firebase-signer-key.")
    cipher_text = _decoded(text, "Its password hash")
    if len(cipher_text) != len(parameters.signer_key):
        raise UnusableHash("Its password hash is not of the length of Firebase's signer key.")
    stream = bytes(a ^ b for a, b in zip(cipher_text, parameters.signer_key, strict=True))[:FIREBASE_BYTES]
    full_salt = _decoded(salt, "Its salt") + parameters.salt_separator
    texts = (base64.b64encode(part).decode() for part in (full_salt, stream))
    return "$".join(["firebase_scrypt", str(parameters.mem_cost), str(parameters.rounds), *texts])


def _decoded(text: str, what: str) -> bytes:
    """Decode Base64 in either alphabet, padded or not."""
    standard = text.strip().translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error as error:
        raise UnusableHash(f"{what} is no Base64.") from error
