"""A service in another language verifies our access tokens from the public keys alone: here Node, by ``jose``."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
import time_machine
from django.utils import timezone

from saas.accounts.models import Audience, LoginSession
from saas.accounts.sessions import signing_keys, tokens
from saas.testing.factories.user_factories import Person
from saas.testing.servers.in_process import serve_in_thread
from saas.tests.languages import node

pytestmark = pytest.mark.long

Verify = Callable[[dict[str, str]], dict[str, str]]
NO_KEY = "ERR_JWKS_NO_MATCHING_KEY"
BAD_SIGNATURE = "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
BAD_CLAIM = "ERR_JWT_CLAIM_VALIDATION_FAILED"


@pytest.fixture
def verify(settings) -> Iterator[Verify]:
    """Asks one Node process, which keeps the keys that it has fetched, about tokens by name."""
    folder = node.node_packages()
    shutil.copy(node.HERE / "verify.mjs", folder)
    with serve_in_thread("product") as url:
        command = ["node", "verify.mjs", f"{url}/.well-known/jwks.json", settings.JWT_ISSUER]
        program = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def ask(named: dict[str, str]) -> dict[str, str]:
            program.stdin.write(json.dumps(named) + "\n")
            program.stdin.flush()
            return json.loads(program.stdout.readline())

        yield ask
        program.communicate(timeout=20)


def signed(customer: Person, header: dict[str, str] | None = None, **claims: object) -> str:
    """Return the customer's token, signed by the right key, with other claims or another header."""
    key = signing_keys.signing_key(Audience.CUSTOMER)
    original = jwt.decode(customer.token, options={"verify_signature": False})
    return jwt.encode(
        {**original, **claims}, key.private, "ES256", headers={"kid": key.kid, "typ": "at+jwt", **(header or {})}
    )


def tampered(token: str) -> str:
    """Replace the subject under the same signature."""
    header, _, signature = token.split(".")
    claims = {**jwt.decode(token, options={"verify_signature": False}), "sub": "usr_other"}
    forged = jwt.encode(claims, None, algorithm="none").split(".")[1]
    return f"{header}.{forged}.{signature}"


def test_a_token_is_accepted_and_every_other_is_refused(verify: Verify, customer: Person, staff_member: Person) -> None:
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        expired = tokens.issue_access_token(LoginSession.objects.get(sid=customer.session_id))
    public = signing_keys.signing_key(Audience.CUSTOMER).public

    assert verify(
        {
            "right": customer.token,
            "signed anew": signed(customer),
            "expired": expired,
            "for staff": staff_member.token,
            "another audience": signed(customer, aud="saas-admin"),
            "another issuer": signed(customer, iss="https://elsewhere.example"),
            "no token of access": signed(customer, {"typ": "JWT"}),
            "tampered": tampered(customer.token),
            "unknown kid": signed(customer, {"kid": "unknown"}),
            "unsigned": jwt.encode({"sub": "usr_1"}, None, algorithm="none"),
            "signed by the public key": jwt.encode({"sub": "usr_1"}, str(public.public_numbers().x), algorithm="HS256"),
            "a refresh token": customer.refresh_token,
        }
    ) == {
        "right": customer.user.id,
        "signed anew": customer.user.id,
        "expired": "ERR_JWT_EXPIRED",
        "for staff": NO_KEY,
        "another audience": BAD_CLAIM,
        "another issuer": BAD_CLAIM,
        "no token of access": BAD_CLAIM,
        "tampered": BAD_SIGNATURE,
        "unknown kid": NO_KEY,
        "unsigned": "ERR_JOSE_ALG_NOT_ALLOWED",
        "signed by the public key": "ERR_JOSE_ALG_NOT_ALLOWED",
        "a refresh token": "ERR_JWS_INVALID",
    }  # fmt: skip


def test_a_key_is_replaced_while_tokens_of_both_are_accepted(
    verify: Verify, customer: Person, settings, tmp_path: Path
) -> None:
    session = LoginSession.objects.get(sid=customer.session_id)
    pems = {"first": signing_keys.generate_pem(), "second": signing_keys.generate_pem()}
    files = {}
    for name, pem in pems.items():
        files[name] = tmp_path / name
        files[name].write_text(pem)

    def turn(signing: str, *verifying: str) -> None:
        settings.JWT_KEYS = {**settings.JWT_KEYS, "saas": pems[signing]}
        settings.JWT_VERIFY_KEYS = {"saas": [str(files[name]) for name in verifying]}

    turn("second")
    late = tokens.issue_access_token(session)
    turn("first")
    both = {"early": tokens.issue_access_token(session), "late": late}
    answers = [verify(both)]
    turn("first", "second")  # the next key is published before it signs
    answers.append(verify(both))
    turn("second", "first")  # the one before verifies while its tokens live
    answers.append(verify(both))

    known = customer.user.id
    assert answers == [
        {"early": known, "late": NO_KEY},
        {"early": known, "late": known},
        {"early": known, "late": known},
    ]


def test_a_key_that_was_taken_back_verifies_nothing(verify: Verify, customer: Person, settings) -> None:
    settings.JWT_KEYS = {**settings.JWT_KEYS, "saas": signing_keys.generate_pem()}

    assert verify({"of the key before": customer.token}) == {"of the key before": NO_KEY}
