"""The kit's own authenticator, by the table of RFC 6238 (its last six digits)."""

import base64

import pytest

from saas.conformance import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(("now", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_a_code_is_that_of_the_standard(now: int, code: str) -> None:
    assert totp.totp_code(SECRET, now) == code
    assert totp.totp_code(SECRET.lower().rstrip("="), now) == code
