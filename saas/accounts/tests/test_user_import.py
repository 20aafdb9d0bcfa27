"""People move in from another system with their passwords: formats, refusals by line, repetition, and the first login."""

import base64
import hashlib
import json
from io import StringIO
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import time_machine
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from django.core.management import CommandError, call_command
from django.utils.crypto import pbkdf2

from saas.accounts.models import Profile, User
from saas.accounts.passwords.hashers import PepperedPBKDF2
from saas.audit.models import AuditEvent
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import create_customer

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"
SALT = b"sixteen bytes ok"
# The project and person of https://github.com/firebase/scrypt
FIREBASE_KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
FIREBASE_HASH = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
FIREBASE_SALT = "42xEC+ixf3L2lw=="
FIREBASE_PASSWORD = "user1password"


def bcrypt_hash(password: bytes = PASSWORD.encode()) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()


def argon2_hash() -> str:
    hasher = Argon2id(salt=SALT, length=32, iterations=1, lanes=1, memory_cost=64)
    return hasher.derive_phc_encoded(PASSWORD.encode())


def pbkdf2_hash(name: str = "sha256") -> str:
    key = base64.b64encode(pbkdf2(PASSWORD, "salt", 10, digest=getattr(hashlib, name))).decode()
    return f"pbkdf2_{name}$10$salt${key}"


HASHES = {
    "bcrypt": bcrypt_hash(),
    "bcrypt of PHP": "$2y$" + bcrypt_hash()[4:],
    "argon2id": argon2_hash(),
    "Django's PBKDF2": pbkdf2_hash(),
    "Django's PBKDF2 with SHA-1": pbkdf2_hash("sha1"),
    "Django's bcrypt": f"bcrypt${bcrypt_hash()}",
    "Django's bcrypt_sha256": f"bcrypt_sha256${bcrypt_hash(hashlib.sha256(PASSWORD.encode()).hexdigest().encode())}",
    "Django's argon2": f"argon2{argon2_hash()}",
}


def run(path: Path, format: str, *options: str) -> tuple[int, str, list[str]]:
    """The exit code, what was written, and the refusals."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command("import_users", path, "--format", format, *options, stdout=out, stderr=err)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, out.getvalue().partition(", in ")[0], err.getvalue().splitlines()


def csv_file(folder: Path, *lines: str) -> Path:
    path = folder / "people.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def json_file(folder: Path, content: Any) -> Path:
    path = folder / "people.json"
    path.write_text(json.dumps(content))
    return path


def log_in(product: ServiceClient, email: str, password: str) -> int:
    return int(product.post("/api/auth/login", {"email": email, "password": password}).status_code)


@pytest.mark.parametrize("kind", HASHES)
def test_a_person_logs_in_with_the_old_password_which_is_then_renewed(
    product: ServiceClient, tmp_path: Path, kind: str
) -> None:
    path = csv_file(
        tmp_path, "email,password_hash,name,email_verified", f'kim@example.net,"{HASHES[kind]}",Kim Lee,true'
    )

    assert run(path, "csv") == (0, "1 imported, 0 there already, 0 refused", [])
    before = User.objects.get().password
    wrong = log_in(product, "kim@example.net", PASSWORD + "r")
    assert User.objects.get().password == before
    right = log_in(product, "kim@example.net", PASSWORD)

    user = User.objects.get()
    assert (wrong, right) == (401, 200)
    assert user.password.startswith(f"{PepperedPBKDF2.algorithm}$")
    assert (user.full_name, user.is_verified, user.is_staff) == ("Kim Lee", True, False)
    assert Profile.objects.get().display_name == "Kim Lee"
    assert log_in(product, "kim@example.net", PASSWORD) == 200


def test_a_person_of_firebase_logs_in_and_the_projects_key_is_not_stored(
    product: ServiceClient, tmp_path: Path
) -> None:
    path = csv_file(tmp_path, "email,passwordHash,passwordSalt", f"kim@example.net,{FIREBASE_HASH},{FIREBASE_SALT}")

    assert run(path, "csv", "--firebase-signer-key", FIREBASE_KEY)[:2] == (0, "1 imported, 0 there already, 0 refused")
    stored = User.objects.get().password
    assert log_in(product, "kim@example.net", "user2password") == 401
    assert log_in(product, "kim@example.net", FIREBASE_PASSWORD) == 200

    assert stored.startswith("firebase_scrypt$14$8$")
    assert FIREBASE_KEY[:20] not in stored
    assert FIREBASE_HASH[:20] not in stored
    assert User.objects.get().password.startswith(f"{PepperedPBKDF2.algorithm}$")


def test_refusals_name_their_line_and_the_others_are_imported(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "Email,Password,Name,Email Verified,Created At",
        "ada@example.net,,Ada,yes,2020-02-29T12:00:00Z",
        "not an address,,Bob,no,",
        "bob@example.net,md5$salt$5f4dcc3b5aa765d61d8327deb882cf99,Bob,no,",
        "ADA@example.net,,Ada again,no,",
        "cyd@example.net,,Cyd,perhaps,",
        "dan@example.net,$2b$31$" + "a" * 53 + ",Dan,no,",
        "eve@example.net,,Eve,no,yesterday",
        f"fay@example.net,{'x' * 20},{'F' * 201},no,",
    )

    assert run(path, "csv") == (
        1,
        "1 imported, 0 there already, 7 refused",
        [
            "line 3: This is not an e-mail address that we can send to.",
            "line 4: Its password hash is none of bcrypt, argon2id, Django's PBKDF2 or, with a salt, Firebase's scrypt.",
            "line 5: Its address stands at line 2 already.",
            "line 6: Whether its address is verified must be true or false.",
            "line 7: Its bcrypt hash is damaged, or its cost is above 15.",
            "line 8: Its moment of creation must be as in 2026-01-31T12:00:00Z.",
            "line 9: Its name is longer than 200 characters.",
        ],
    )
    ada = User.objects.get()
    assert (ada.email, ada.has_usable_password(), f"{ada.created_at:%Y-%m-%d}") == (
        "ada@example.net",
        False,
        "2020-02-29",
    )


def test_a_repeated_import_changes_nothing(tmp_path: Path) -> None:
    other = create_customer(email="ola@example.net").user
    path = csv_file(tmp_path, "email,name", "kim@example.net,Kim", "OLA@example.net,Somebody Else")

    first = run(path, "csv")
    before = list(User.objects.order_by("pk").values())
    again = run(path, "csv")

    assert first[:2] == (0, "1 imported, 1 there already, 0 refused")
    assert again[:2] == (0, "0 imported, 2 there already, 0 refused")
    assert list(User.objects.order_by("pk").values()) == before
    assert User.objects.get(pk=other.pk).full_name == other.full_name


def test_a_dry_run_says_the_same_and_stores_nothing(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "email", "kim@example.net", "nobody")

    assert run(path, "csv", "--dry-run") == (
        1,
        "1 would be imported, 0 there already, 1 refused",
        ["line 3: This is not an e-mail address that we can send to."],
    )
    assert not User.objects.exists()
    assert not AuditEvent.objects.exists()


def test_an_import_is_in_the_audit_trail_and_sends_no_mail(tmp_path: Path) -> None:
    run(csv_file(tmp_path, "email", "kim@example.net"), "csv")

    event = AuditEvent.objects.get()
    assert (event.action, event.actor, event.target) == ("user.imported", "system", User.objects.get().id)
    assert not Mail.objects.exists()


def test_djangos_people_come_without_staff_and_with_allauths_flags(product: ServiceClient, tmp_path: Path) -> None:
    person = {"email": "kim@example.net", "password": pbkdf2_hash(), "first_name": "Kim", "last_name": "Lee"}
    rows = [
        {"model": "auth.group", "pk": 1, "fields": {"name": "editors"}},
        {"model": "auth.user", "pk": 1, "fields": {**person, "date_joined": "2021-03-04T05:06:07Z", "is_active": True}},
        {"model": "auth.user", "pk": 2, "fields": {**person, "email": "root@example.net", "is_superuser": True}},
        {"model": "auth.user", "pk": 3, "fields": {**person, "email": "gone@example.net", "is_active": False}},
        {"model": "account.emailaddress", "pk": 9, "fields": {"user": 1, "email": "Kim@example.net", "verified": True}},
    ]

    assert run(json_file(tmp_path, rows), "django") == (
        1,
        "1 imported, 0 there already, 2 refused",
        ["entry 3: It is staff: invite staff with manage.py create_staff.", "entry 4: It is not active."],
    )
    user = User.objects.get()
    assert (user.full_name, user.is_verified, user.created_at.year) == ("Kim Lee", True, 2021)
    assert log_in(product, "kim@example.net", PASSWORD) == 200


def test_auth0s_lines_and_its_list_are_read(product: ServiceClient, tmp_path: Path) -> None:
    people = [
        {"_id": {"$oid": "1"}, "email": "kim@example.net", "email_verified": True, "passwordHash": bcrypt_hash()},
        {"email": "ola@example.net", "email_verified": False, "given_name": "Ola", "family_name": "Nordmann"},
        {"email": "bad@example.net", "blocked": True},
    ]
    lines = tmp_path / "auth0.json"
    lines.write_text("\n".join([*map(json.dumps, people), "{half", '"text"']))

    by_line = run(lines, "auth0")
    as_list = run(json_file(tmp_path, people), "auth0")

    assert by_line == (
        1,
        "2 imported, 0 there already, 3 refused",
        ["line 3: It is blocked.", "line 4: It is no JSON object.", "line 5: It is no JSON object."],
    )
    assert as_list == (1, "0 imported, 2 there already, 1 refused", ["entry 3: It is blocked."])
    assert log_in(product, "kim@example.net", PASSWORD) == 200
    assert User.objects.get(email="ola@example.net").full_name == "Ola Nordmann"


def test_addresses_are_trusted_only_where_the_file_is_silent_and_it_is_asked(tmp_path: Path) -> None:
    silent = csv_file(tmp_path, "email", "kim@example.net")
    run(silent, "csv", "--trust-addresses")
    run(csv_file(tmp_path, "email,email_verified", "ola@example.net,false"), "csv", "--trust-addresses")

    assert {user.email: user.is_verified for user in User.objects.all()} == {
        "kim@example.net": True,
        "ola@example.net": False,
    }


@pytest.mark.parametrize(
    ("content", "format", "sentence"),
    [
        (b"name,password\nKim,x\n", "csv", "The first line must name the columns, one of them email."),
        (b"", "csv", "The first line must name the columns, one of them email."),
        (b'email\n"unclosed', "csv", "It is no CSV: line 1, unexpected end of data."),
        (b"email\nkim@example.net\n\xff@example.net\n", "csv", "It is not in UTF-8."),
        (b"{}", "django", "It must be a list of objects."),
        (b"nothing", "django", "It is no JSON."),
        (b"[nothing", "auth0", "It is no JSON."),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path, content: bytes, format: str, sentence: str) -> None:
    path = tmp_path / "people"
    path.write_bytes(content)

    with pytest.raises(CommandError) as refusal:
        run(path, format)

    assert str(refusal.value) == f"{path}: {sentence}"
    assert not User.objects.exists()


def test_a_missing_file_and_a_bad_signer_key_are_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"It cannot be read: No such file or directory\."):
        run(tmp_path / "none", "csv")
    with pytest.raises(CommandError, match=r"Firebase's signer key is too short\."):
        run(csv_file(tmp_path, "email"), "csv", "--firebase-signer-key", "c2hvcnQ=")


@pytest.mark.parametrize(
    ("hash", "salt", "sentence"),
    [
        (FIREBASE_HASH, FIREBASE_SALT, "line 2: Its hash has a salt of its own, as Firebase's: give --firebase-signer-key."),
        ("$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$" + "A" * 43, "", None),
        ("$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$" + "A" * 43, "", None),
        ("pbkdf2_sha256$99999999$salt$AAAA", "", "line 2: Its PBKDF2 hash is not one of Django's, or costs too much to verify."),
    ],
)  # fmt: skip
def test_a_hash_that_cannot_be_verified_cheaply_is_refused(
    tmp_path: Path, hash: str, salt: str, sentence: str | None
) -> None:
    path = csv_file(tmp_path, "email,password_hash,salt", f'kim@example.net,"{hash}",{salt}')
    argon2 = "line 2: Its argon2 hash is damaged, not argon2id of version 19, or costs too much to verify."

    assert run(path, "csv")[2] == [sentence or argon2]
    assert not User.objects.exists()


def test_a_batch_costs_a_few_statements_however_many_people(tmp_path: Path, django_assert_max_num_queries: Any) -> None:
    path = csv_file(tmp_path, "email", *[f"p{number}@example.net" for number in range(400)])

    with django_assert_max_num_queries(21):
        run(path, "csv")

    assert User.objects.count() == 400


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_what_a_spreadsheet_writes_is_read(tmp_path: Path, separator: str) -> None:
    lines = ("E-Mail;Full Name;Email-Verified", 'ann@example.org;"Ann, the first";yes', ";;", "", "bea@example.org;;no")
    path = csv_file(tmp_path, *(line.replace(";", separator) for line in lines))

    code, out, _ = run(path, "csv")

    assert (code, out) == (0, "2 imported, 0 there already, 0 refused")
    people = [(one.email, one.full_name, one.is_verified) for one in User.objects.order_by("email")]
    assert people == [("ann@example.org", "Ann, the first", True), ("bea@example.org", "", False)]


@pytest.mark.parametrize(
    ("moment", "year"),
    [
        ("1612010512345", 2021),
        ("1612010512", 2021),
        ("2019-05-01", 2019),
        ("0001-01-01T00:00:00", 2026),
        ("today", None),
    ],
)
@time_machine.travel("2026-05-01", tick=False)
def test_moments_are_read_as_they_are_written_elsewhere(tmp_path: Path, moment: str, year: int | None) -> None:
    """Firebase writes milliseconds; the year 1 is what others write for "never": created today."""
    path = csv_file(tmp_path, "email,created_at", f"ann@example.org,{moment}")

    code, _, refused = run(path, "csv")

    assert [user.created_at.year for user in User.objects.all()] == ([year] if year else [])
    assert (code, len(refused)) == ((0, 0) if year else (1, 1))
