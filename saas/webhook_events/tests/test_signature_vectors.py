"""Signature headers made by hand with ``hashlib`` alone, each with its exact answer.

Scheme: https://docs.stripe.com/webhooks#verify-manually.
"""

import base64
import hashlib
import hmac

import pytest

from saas.webhook_events.signatures import MAX_HEADER_BYTES, MAX_SIGNATURES, BadSignature, verify

SECRET, OLD_SECRET = "whsec_c2VjcmV0IG9uZQ", "whsec_c2VjcmV0IHR3bw"
NOW, TOLERANCE = 1_800_000_000, 300
BODY = '{"id": "evt_vector", "note": "naïve ☃"}'.encode()
ZEROS = "0" * 64


def v1(at: object = NOW, body: bytes = BODY, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, algorithm).hexdigest()


def keyed(secret: bytes) -> str:
    return hmac.new(secret, f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()


GOOD = v1()
IN_BASE64 = base64.b64encode(bytes.fromhex(GOOD)).decode()
MANY = ",".join([f"v1={ZEROS}"] * (MAX_SIGNATURES - 1))

VECTORS = {
    "valid": (f"t={NOW},v1={GOOD}", "ok"),
    "signature before the timestamp": (f"v1={GOOD},t={NOW}", "ok"),
    "a second old": (f"t={NOW - 1},v1={v1(NOW - 1)}", "ok"),
    "as old as is allowed": (f"t={NOW - TOLERANCE},v1={v1(NOW - TOLERANCE)}", "ok"),
    "a second older than allowed": (f"t={NOW - TOLERANCE - 1},v1={v1(NOW - TOLERANCE - 1)}", "stale"),
    "a day old": (f"t={NOW - 86_400},v1={v1(NOW - 86_400)}", "stale"),
    "of 1970": (f"t=0,v1={v1(0)}", "stale"),
    "as far ahead as is allowed": (f"t={NOW + TOLERANCE},v1={v1(NOW + TOLERANCE)}", "ok"),
    "a second further ahead": (f"t={NOW + TOLERANCE + 1},v1={v1(NOW + TOLERANCE + 1)}", "stale"),
    "the first of two signatures": (f"t={NOW},v1={GOOD},v1={ZEROS}", "ok"),
    "the second of two signatures": (f"t={NOW},v1={ZEROS},v1={GOOD}", "ok"),
    "none of two signatures": (f"t={NOW},v1={ZEROS},v1={ZEROS}", "no_match"),
    "the last of as many as are allowed": (f"t={NOW},{MANY},v1={GOOD}", "ok"),
    "one signature too many": (f"t={NOW},{MANY},v1={ZEROS},v1={GOOD}", "malformed"),
    "another scheme beside it": (f"t={NOW},v1={GOOD},v2={ZEROS}", "ok"),
    "the test scheme beside it": (f"t={NOW},v1={GOOD},v0={ZEROS}", "ok"),
    "the right hash under the test scheme only": (f"t={NOW},v0={GOOD}", "no_match"),
    "something without an equals sign beside it": (f"t={NOW},v1={GOOD},surprise", "ok"),
    "signed with another secret": (f"t={NOW},v1={v1(secret='whsec_other')}", "no_match"),
    "another body": (f"t={NOW},v1={v1(body=BODY + b' ')}", "no_match"),
    "a body in another encoding": (f"t={NOW},v1={v1(body=BODY.decode().encode('latin-1', 'replace'))}", "no_match"),
    "the timestamp changed afterwards": (f"t={NOW - 5},v1={GOOD}", "no_match"),
    "stale with a wrong signature": (f"t={NOW - 9999},v1={ZEROS}", "no_match"),
    "by SHA-512": (f"t={NOW},v1={v1(algorithm='sha512')}", "no_match"),
    "by SHA-1": (f"t={NOW},v1={v1(algorithm='sha1')}", "no_match"),
    "the secret without its prefix": (f"t={NOW},v1={keyed(SECRET.removeprefix('whsec_').encode())}", "no_match"),
    "the signature in base64": (f"t={NOW},v1={IN_BASE64}", "no_match"),
    "the signature in upper case": (f"t={NOW},v1={GOOD.upper()}", "no_match"),
    "half the signature": (f"t={NOW},v1={GOOD[:32]}", "no_match"),
    "one character more": (f"t={NOW},v1={GOOD}0", "no_match"),
    "a signature that is not ASCII": (f"t={NOW},v1={GOOD[:-1]}é", "no_match"),
    "an empty signature": (f"t={NOW},v1=", "no_match"),
    "a timestamp alone": (f"t={NOW}", "no_match"),
    "no timestamp": (f"v1={GOOD}", "malformed"),
    "two timestamps": (f"t={NOW},t={NOW},v1={GOOD}", "malformed"),
    "an empty timestamp": (f"t=,v1={v1('')}", "malformed"),
    "a word for a timestamp": (f"t=soon,v1={v1('soon')}", "malformed"),
    "a fraction for a timestamp": (f"t={NOW}.5,v1={v1(f'{NOW}.5')}", "malformed"),
    "a negative timestamp": (f"t=-5,v1={v1(-5)}", "malformed"),
    "a timestamp of 5000 digits": (f"t={'9' * 5000},v1={v1('9' * 5000)}", "malformed"),
    "digits of another script": (f"t={'١' * 10},v1={GOOD}", "malformed"),
    "blanks around the timestamp": (f"t= {NOW},v1={GOOD}", "malformed"),
    "t without a value": (f"t,v1={GOOD}", "malformed"),
    "v1 without a value": (f"t={NOW},v1", "malformed"),
    "names in upper case": (f"T={NOW},V1={GOOD}", "malformed"),
    "nothing": ("", "malformed"),
    "commas": (",,,", "malformed"),
    "as long as is allowed": (f"t={NOW},v1={GOOD},x={'x' * (MAX_HEADER_BYTES - 83)}", "ok"),
    "a byte longer": (f"t={NOW},v1={GOOD},x={'x' * (MAX_HEADER_BYTES - 82)}", "malformed"),
}  # fmt: skip

ROTATIONS = {
    "the new secret": (f"t={NOW},v1={GOOD}", [SECRET, OLD_SECRET], "ok"),
    "the earlier secret": (f"t={NOW},v1={v1(secret=OLD_SECRET)}", [SECRET, OLD_SECRET], "ok"),
    "both": (f"t={NOW},v1={GOOD},v1={v1(secret=OLD_SECRET)}", [OLD_SECRET], "ok"),
    "neither": (f"t={NOW},v1={v1(secret='whsec_third')}", [SECRET, OLD_SECRET], "no_match"),
    "the earlier one, stale": (f"t={NOW - 999},v1={v1(NOW - 999, secret=OLD_SECRET)}", [SECRET, OLD_SECRET], "stale"),
    "an empty secret is none": (f"t={NOW},v1={v1(secret='')}", [""], "no_match"),
    "no secret at all": (f"t={NOW},v1={GOOD}", [], "no_match"),
}  # fmt: skip


def answer(header: str, secrets: list[str]) -> str:
    try:
        verify(header, BODY, secrets=secrets, tolerance_seconds=TOLERANCE, now=NOW)
    except BadSignature as error:
        return error.reason
    return "ok"


@pytest.mark.parametrize(("header", "expected"), VECTORS.values(), ids=VECTORS.keys())
def test_a_header_gets_exactly_its_answer(header: str, expected: str) -> None:
    assert answer(header, [SECRET]) == expected


@pytest.mark.parametrize(("header", "secrets", "expected"), ROTATIONS.values(), ids=ROTATIONS.keys())
def test_during_a_rotation_any_of_the_secrets_counts(header: str, secrets: list[str], expected: str) -> None:
    assert answer(header, secrets) == expected
