"""The keys of access tokens: one signing key per audience and any number of verification keys, found by ``kid``.

ES256 (EC P-256), so that a service in any language can verify tokens from the JWKS without a shared secret. A key comes from
``JWT_SIGNING_KEY`` or, if that is not set, from a folder of rotated keys (``key_files``, ``key_rotation``).
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from saas.accounts.models import Audience
from saas.accounts.sessions import key_files
from saas.accounts.sessions.key_files import KeyFile

_COORDINATE_BYTES = 32


@dataclass(frozen=True)
class Key:
    """``kid`` is the key's RFC 7638 thumbprint."""

    kid: str
    public: ec.EllipticCurvePublicKey
    private: ec.EllipticCurvePrivateKey | None = None


def signing_key(audience: str) -> Key:
    """Return the key that signs tokens for ``audience`` now. Raises ``ImproperlyConfigured`` if there is none."""
    if pem := settings.JWT_KEYS[audience]:
        return _load(str(pem).replace("\\n", "\n"))
    now = timezone.now()
    due = [file for file in key_files_for(audience) if file.signs_from <= now]
    if not due:
        raise ImproperlyConfigured("No key signs yet: set JWT_SIGNING_KEY and JWT_STAFF_SIGNING_KEY, or JWT_KEY_DIR.")
    return read_key_file(due[-1])


def verification_keys(audience: str) -> dict[str, Key]:
    """Return, by ``kid``, every key whose tokens for ``audience`` may be valid, and the next one."""
    if settings.JWT_KEYS[audience]:
        others = [_load(Path(path).read_text(encoding="ascii")) for path in settings.JWT_VERIFY_KEYS[audience]]
        keys = [signing_key(audience), *others]
    else:
        keys = [read_key_file(file) for file in key_files.key_files_in_use(key_files_for(audience), timezone.now())]
    return {key.kid: key for key in keys}


def key_files_for(audience: str) -> list[KeyFile]:
    """Return the audience's key files, oldest first; in development create one if there is none."""
    if settings.JWT_KEY_DIR is None:
        return []
    if settings.DEVELOPMENT_SECRETS is None:
        return key_files.list_key_files(settings.JWT_KEY_DIR, audience)
    return key_files.list_or_create_key_files(settings.JWT_KEY_DIR, audience, generate_pem)


@lru_cache(maxsize=32)
def read_key_file(file: KeyFile) -> Key:
    """Load the key of a file. A file never changes, so the result is cached."""
    return _load(file.path.read_text(encoding="ascii"))


def jwks() -> dict[str, list[dict[str, str]]]:
    """Return the customers' public keys as a JWK set (RFC 7517)."""
    return {
        "keys": [
            {**_jwk(key.public), "kid": key.kid, "use": "sig", "alg": "ES256"}
            for key in verification_keys(Audience.CUSTOMER).values()
        ]
    }


def generate_pem() -> str:
    """Return a new private key in PEM."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode("ascii")
    )


@lru_cache(maxsize=32)
def _load(pem: str) -> Key:
    raw = pem.encode("ascii")
    if "PRIVATE" not in pem:
        public = serialization.load_pem_public_key(raw)
        private = None
    else:
        private = serialization.load_pem_private_key(raw, password=None)
        public = private.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise ImproperlyConfigured("JWT keys must be EC P-256 keys in PEM.")
    canonical = json.dumps(_jwk(public), sort_keys=True, separators=(",", ":")).encode()
    thumbprint = urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode("ascii")
    return Key(thumbprint, public, private)  # type: ignore[arg-type]


def _jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": _base64(numbers.x), "y": _base64(numbers.y)}


def _base64(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(_COORDINATE_BYTES, "big")).rstrip(b"=").decode("ascii")
