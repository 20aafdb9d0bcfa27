"""TOTP codes (https://www.rfc-editor.org/rfc/rfc6238) of six digits, 30 s and SHA-1."""

import base64
import hashlib
import hmac
import struct
import time

STEP_SECONDS = 30


def totp_code(secret: str, now: float | None = None) -> str:
    """Return the code of ``secret`` (base32) at ``now`` (seconds since 1970)."""
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    moment = int(time.time() if now is None else now) // STEP_SECONDS
    digest = hmac.new(key, struct.pack(">Q", moment), hashlib.sha1).digest()
    start = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
