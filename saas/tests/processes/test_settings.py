"""What the settings accept and refuse, each case in a process of its own."""

import os
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.core.management import CommandError, call_command
from dotenv import dotenv_values

from saas import env
from saas.settings import production

ROOT = Path(__file__).resolve().parents[3]


P256, P384 = ec.SECP256R1(), ec.SECP384R1()


def pem(curve: ec.EllipticCurve = P256, *, is_private: bool = True) -> str:
    key = ec.generate_private_key(curve)
    if not is_private:
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


GOOD = {
    "SAAS_ENV": "production",
    "SECRET_KEY": "kq2v7GJX0pBvW4tPzN6sYd1RmLc8FhQa",
    "SAAS_AUTH_PEPPER": "Zr5yTn3EwUo9iKb7CxVj2DgHs6AlMqPf",
    "SAAS_SESSION_SECRET": "b8NcXz4LmKjHgFd3SaPoIu6YtReW1QvT",
    "SAAS_MFA_KEY": "n4HsVw8QkTzYc1RfXb6JmLdP3GuEa9Ko",
    "SAAS_AUDIT_KEY": "Tq7LmZx2RbW9cVh4NyKf8GsJd5PaEu3o",
    "JWT_SIGNING_KEY": pem(),
    "JWT_STAFF_SIGNING_KEY": pem(),
    "STRIPE_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "STRIPE_SECRET_KEY": "sk_live_51H8xkzqB4Vw",
    "EMAIL_URL": "smtp://mail.internal:587?tls=true",
    "DEFAULT_FROM_EMAIL": "SaaS <no-reply@example.com>",
    "DATABASE_URL": "postgres://app@db.internal/saas",
    "REDIS_URL": "redis://redis.internal:6379/0",
    "ALLOWED_HOSTS": "api.example.com",
    "PRODUCT_BASE_URL": "https://api.example.com",
    "ADMIN_OPS_BASE_URL": "https://ops.example.com",
    "PARITY_BASE_URL": "https://parity.example.com",
    "WEBHOOKS_BASE_URL": "https://hooks.example.com",
}
RANDOM = ("SECRET_KEY", "SAAS_AUTH_PEPPER", "SAAS_SESSION_SECRET", "SAAS_MFA_KEY", "SAAS_AUDIT_KEY")
SECRETS = (*RANDOM, "JWT_SIGNING_KEY", "JWT_STAFF_SIGNING_KEY", "STRIPE_WEBHOOK_SECRET")
THIRTY_ONE_BYTES = bytes(range(100, 131))
WEAK = {
    "missing": None,
    "empty": "",
    "31 characters": "kq2v7GJX0pBvW4tPzN6sYd1RmLc8FhQ",
    "31 bytes in hexadecimal": THIRTY_ONE_BYTES.hex(),
    "31 bytes in Base64": b64encode(THIRTY_ONE_BYTES).decode(),
    "a placeholder of the starter": "please-set-a-long-random-value-0123456789",
    "your own": "your_secret_key_goes_here_0123456789abcd",
    "changeme": "changeme-kq2v7GJX0pBvW4tPzN6sYd1RmLc8FhQa",
    "of development": "dev-kq2v7GJX0pBvW4tPzN6sYd1RmLc8FhQa",
    "Django's own": "django-insecure-kq2v7GJX0pBvW4tPzN6sYd1RmLc8FhQa",
    "the starter's staff password": "AdminPass123!-kq2v7GJX0pBvW4tPzN6sYd1RmLc8FhQa",
    "one character": "x" * 64,
    "seven characters": "abcdefg" * 8,
    "a short text again and again": "0123456789abcdef-" * 4,
}


SHOWN = "import saas.settings.product as s; print(s.AUTH_PEPPER, s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE)"


def start(
    environment: Mapping[str, str], tmp_path: Path | str, code: str = "import saas.settings.product"
) -> subprocess.CompletedProcess[str]:
    """Import the product's settings in a process that has nothing but ``environment``."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SAAS_VAR_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_production_starts_when_everything_is_right(tmp_path: Path) -> None:
    assert start(GOOD, tmp_path).returncode == 0


@pytest.mark.parametrize("kind", WEAK)
@pytest.mark.parametrize("name", SECRETS)
def test_production_refuses_a_weak_secret(name: str, kind: str) -> None:
    found = [
        fault
        for fault in production.find_settings_faults(loaded(name, WEAK[kind] or ""))
        if fault.startswith(f"{name} ")
    ]

    assert len(found) == 1
    assert not WEAK[kind] or WEAK[kind] not in found[0]


@pytest.mark.parametrize(("first", "second"), list(combinations(RANDOM, 2)))
def test_production_refuses_one_secret_for_two_purposes(first: str, second: str) -> None:
    found = list(production.find_settings_faults(loaded(second, GOOD[first])))

    assert found == [f"{second} must differ from {first}."]


def loaded(name: str, value: str) -> dict[str, Any]:
    """The settings as production reads them from ``GOOD``, but for one."""
    text = {**GOOD, name: value}
    return {
        **dict.fromkeys(("DEBUG", "WEBHOOKS_ALLOW_UNSIGNED", "WEBHOOKS_OPEN_OPERATOR_API"), False),
        **dict.fromkeys(("SESSION_COOKIE_SECURE", "STAFF_MFA_REQUIRED"), True),
        **{
            f"{name}_FALLBACKS": []
            for name in ("SECRET_KEY", "AUTH_PEPPER", "SESSION_SECRET", "MFA_KEY", "AUDIT_KEY", "INTERNALS_TOKEN")
        },
        "JWT_VERIFY_KEYS": {"saas": [], "saas-admin": []},
        **{key: [] for key in ("TRUSTED_PROXY_CIDRS", "CORS_ALLOWED_ORIGINS")},
        **dict.fromkeys(("REDIS_URL", "CACHE_URL", "LIMITS_URL", "CELERY_BROKER_URL"), text["REDIS_URL"]),
        "PASSWORD_ITERATIONS": 600_000,
        "DATABASE_URL": text["DATABASE_URL"],
        "ALLOWED_HOSTS": [text["ALLOWED_HOSTS"]],
        "SERVICE_BASE_URLS": {
            name: text[f"{name.upper()}_BASE_URL"] for name in ("product", "admin_ops", "parity", "webhooks")
        },
        "FRONTEND_BASE_URL": text["PRODUCT_BASE_URL"],
        "SECRET_KEY": text["SECRET_KEY"],
        "AUTH_PEPPER": text["SAAS_AUTH_PEPPER"],
        "SESSION_SECRET": text["SAAS_SESSION_SECRET"],
        "MFA_KEY": text["SAAS_MFA_KEY"],
        "AUDIT_KEY": text["SAAS_AUDIT_KEY"],
        "JWT_KEYS": {"saas": text["JWT_SIGNING_KEY"], "saas-admin": text["JWT_STAFF_SIGNING_KEY"]},
        "JWT_KEY_DIR": None,
        "JWT_ISSUER": text["PRODUCT_BASE_URL"],
        **dict.fromkeys(("BILLING", "STRIPE_LIVEMODE", "FRONT_PAGES"), True),
        "STRIPE_SECRET_KEY": text["STRIPE_SECRET_KEY"],
        "STRIPE_API_BASE": "",
        "DEFAULT_FROM_EMAIL": text["DEFAULT_FROM_EMAIL"],
        "SESSION_COOKIE_DOMAIN": None,
        "CUSTOMER_SESSION_COOKIE_NAME": "__Host-saas_session",
        "STAFF_SESSION_COOKIE_NAME": "__Host-saas_admin_session",
        "STRIPE_WEBHOOK_SECRETS": [text["STRIPE_WEBHOOK_SECRET"]] if text["STRIPE_WEBHOOK_SECRET"] else [],
        "INTERNALS_TOKEN": "",
        "OAUTH_PROVIDERS": {},
    }


# Good in development, and taken for the real thing by whoever only sees that it starts. (T83)
STAND_INS: dict[str, list[dict[str, str | None]]] = {
    "STRIPE_SECRET_KEY": [
        {"STRIPE_SECRET_KEY": None},
        {"STRIPE_SECRET_KEY": "sk_test_51H8xkzqB4Vw"},
        {"STRIPE_SECRET_KEY": "rk_live_51H8xkzqB4Vw", "STRIPE_LIVEMODE": "false"},
        {"STRIPE_SECRET_KEY": "not-a-key-of-stripe"},
    ],
    "STRIPE_API_BASE": [{"STRIPE_API_BASE": "http://127.0.0.1:8420"}],
    "EMAIL_URL": [
        {"EMAIL_URL": url} for url in (None, "console://", "file:///var/mails", "locmem://mails", "dummy://mails")
    ],
    "DEFAULT_FROM_EMAIL": [{"DEFAULT_FROM_EMAIL": None}, {"DEFAULT_FROM_EMAIL": "SaaS <hello@mail.local>"}],
    "SESSION_COOKIE_NAME": [
        {"SESSION_COOKIE_NAME": "saas_admin_session"},
        {"SESSION_COOKIE_NAME": "__Host-saas_session", "SESSION_COOKIE_DOMAIN": ".example.com"},
    ],
    "SESSION_COOKIE_DOMAIN": [
        {"SESSION_COOKIE_DOMAIN": ".example.net"},
        {"SESSION_COOKIE_DOMAIN": "example.com.evil.net"},
    ],
    "ADMIN_OPS_BASE_URL": [{"ADMIN_OPS_BASE_URL": "https://parity.example.com:8001"}],
    "OAUTH_OIDC_ISSUER": [
        {"OAUTH_OIDC_ISSUER": "http://id.example.com", "OAUTH_OIDC_CLIENT_ID": "client"},
        {"OAUTH_OIDC_ISSUER": "https://localhost:9000", "OAUTH_OIDC_CLIENT_ID": "client"},
    ],
    "JWT_ISSUER": [{"JWT_ISSUER": "http://localhost:8000"}],
    "CORS_ALLOWED_ORIGINS": [{"CORS_ALLOWED_ORIGINS": "https://localhost:3000"}],
    "PRODUCT_BASE_URL": [{"PRODUCT_BASE_URL": "https://api.localhost"}],
}
REFUSED: list[tuple[dict[str, str | None], str]] = [
    ({"SECRET_KEY": None}, "SECRET_KEY"),
    ({"SECRET_KEY_FALLBACKS": "changeme-changeme-changeme-changeme"}, "SECRET_KEY_FALLBACKS"),
    ({"SAAS_AUTH_PEPPER": "changeme-changeme-changeme-changeme"}, "SAAS_AUTH_PEPPER"),
    ({"JWT_SIGNING_KEY": pem(P384)}, "JWT_SIGNING_KEY"),
    ({"JWT_SIGNING_KEY": pem(is_private=False)}, "JWT_SIGNING_KEY"),
    ({"JWT_VERIFY_KEYS": "/nowhere/key.pem"}, "JWT_SIGNING_KEY_FALLBACKS"),
    ({"JWT_STAFF_SIGNING_KEY_FALLBACKS": "/nowhere/key.pem"}, "JWT_STAFF_SIGNING_KEY_FALLBACKS"),
    ({"BREACHED_PASSWORDS_FILE": "/nowhere/passwords.txt"}, "BREACHED_PASSWORDS_FILE"),
    ({"STRIPE_WEBHOOK_SECRET": "whsec_test_local"}, "STRIPE_WEBHOOK_SECRET"),
    ({"OAUTH_GITHUB_CLIENT_ID": "client"}, "OAUTH_GITHUB_CLIENT_SECRET"),
    ({"INTERNALS_TOKEN": "prometheus"}, "INTERNALS_TOKEN"),
    ({"DATABASE_URL": None}, "DATABASE_URL"),
    ({"DATABASE_URL": "sqlite:////srv/db.sqlite3"}, "DATABASE_URL"),
    ({"DATABASE_URL": "postgres://app:hunter2hunter2@db.internal:port/saas"}, "DATABASE_URL"),
    ({"REDIS_URL": None}, "REDIS_URL"),
    ({"REDIS_URL": "locmem://"}, "CACHE_URL"),
    ({"LIMITS_URL": "memory://limits"}, "LIMITS_URL"),
    ({"BROKER_URL": "memory://"}, "BROKER_URL"),
    ({"BROKER_URL": "filesystem://localhost"}, "BROKER_URL"),
    ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
    ({"ALLOWED_HOSTS": "api.example.com,*.example.com"}, "ALLOWED_HOSTS"),
    ({"ALLOWED_HOSTS": ".example.com"}, "ALLOWED_HOSTS"),
    ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS"),
    ({"CORS_ALLOWED_ORIGINS": "https://app.example.com,http://app.example.com"}, "CORS_ALLOWED_ORIGINS"),
    ({"CORS_ALLOWED_ORIGINS": "https://app.example.com/start"}, "CORS_ALLOWED_ORIGINS"),
    ({"DEBUG": "true"}, "DEBUG"),
    ({"WEBHOOKS_ALLOW_UNSIGNED": "true"}, "WEBHOOKS_ALLOW_UNSIGNED"),
    ({"WEBHOOKS_OPEN_OPERATOR_API": "true"}, "WEBHOOKS_OPEN_OPERATOR_API"),
    ({"STAFF_MFA_REQUIRED": "false"}, "STAFF_MFA_REQUIRED"),
    ({"PRODUCT_BASE_URL": "http://api.example.com"}, "PRODUCT_BASE_URL"),
    ({"FRONTEND_BASE_URL": "http://app.example.com"}, "FRONTEND_BASE_URL"),
    ({"WEBHOOKS_BASE_URL": None}, "WEBHOOKS_BASE_URL"),
    ({"SESSION_COOKIE_SECURE": "false"}, "SESSION_COOKIE_SECURE"),
    ({"RAPIDKIT_SESSION_COOKIE_SECURE": "false"}, "SESSION_COOKIE_SECURE"),
    ({"PASSWORD_ITERATIONS": "599999"}, "PASSWORD_ITERATIONS"),
    ({"WEBHOOKS_MAX_RETRIES": "many"}, "WEBHOOKS_MAX_RETRIES"),
    ({"TRUSTED_PROXY_COUNT": "1"}, "TRUSTED_PROXY_COUNT"),
    ({"TRUSTED_PROXY_COUNT": "1", "TRUSTED_PROXY_CIDRS": "the office"}, "TRUSTED_PROXY_CIDRS"),
    ({"TRUSTED_PROXY_COUNT": "1", "TRUSTED_PROXY_CIDRS": "0.0.0.0/0"}, "TRUSTED_PROXY_CIDRS"),
    ({"OAUTH_GOOGLE_CLIENT_ID": "client-at-google"}, "OAUTH_GOOGLE_CLIENT_SECRET"),
    ({"EMAIL_URL": "sendmail://hunter2hunter2"}, "EMAIL_URL"),
    ({"SECRET_KEY": None, "SECRET_KEY_FILE": "/nowhere/secret_key"}, "SECRET_KEY_FILE"),
    ({"REDIS_URL": "redis://:hunter2#hunter2@redis.internal:6379/0"}, "CACHE_URL"),
    ({"EMAIL_URL": "smtp://mailer:hunter2hunter2@mail.internal:587?starttls=true"}, "EMAIL_URL"),
    ({"DEFAULT_FROM_EMAIL": "Example, Inc. <no-reply@example.com>"}, "DEFAULT_FROM_EMAIL"),
    ({"WEBHOOKS_NOTIFY_EMAIL": "ann@example.com, bob@example.com"}, "WEBHOOKS_NOTIFY_EMAIL"),
    ({"ALLOWED_HOSTS": "https://api.example.com"}, "ALLOWED_HOSTS"),
    ({"ALLOWED_HOSTS": "api.example.com:443"}, "ALLOWED_HOSTS"),
    ({"WEBHOOKS_BASE_URL": "hooks.saas.internal"}, "WEBHOOKS_BASE_URL"),
    ({"SENTRY_DSN": "https://sentry.example.com/7"}, "SENTRY_DSN"),
    ({"OTEL_ENDPOINT": "collector:4318"}, "OTEL_ENDPOINT"),
    ({"METRICS_BIND": "0.0.0.0:910000"}, "METRICS_BIND"),
    *((change, named) for named, changes in STAND_INS.items() for change in changes),
]


@cache
def refusals() -> dict[int, str]:
    """What each row of ``REFUSED`` makes a start say. A start has as many of them as change different variables."""
    waiting, said = dict(enumerate(REFUSED)), {}
    while waiting:
        together: dict[int, dict[str, str | None]] = {}
        for row, (change, named) in waiting.items():
            taken = {name for other in together for name in {*REFUSED[other][0], REFUSED[other][1]}}
            if not taken & {*change, named}:
                together[row] = change
        environment = {**GOOD, **{name: value for change in together.values() for name, value in change.items()}}
        result = start({name: value for name, value in environment.items() if value is not None}, mkdtemp())
        assert result.returncode != 0
        for row in together:
            said[row] = result.stderr
            del waiting[row]
    return said


@pytest.mark.xdist_group("settings")
@pytest.mark.parametrize("row", range(len(REFUSED)), ids=[f"{named}-{i}" for i, (_, named) in enumerate(REFUSED)])
def test_production_refuses_to_start_and_names_the_variable(row: int) -> None:
    change, named = REFUSED[row]

    assert f"- {named} " in refusals()[row]
    assert not any(value and len(value) > 7 and value in refusals()[row] for value in change.values())


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("HTTPS://App.Example.COM:443", "https://app.example.com"),
        ("http://localhost:5173/", "http://localhost:5173"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://app.example.com/start", ""),
        ("https://app.example.com?x=1", ""),
        ("app.example.com", ""),
        ("https://app.example.com:port", ""),
        ("https://[app", ""),
        ("*", ""),
        ("https://kim@app.example.com", ""),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_an_origin_is_read_as_browsers_send_it(address: str, origin: str) -> None:
    assert env.as_origin(address) == origin


def test_production_never_runs_on_a_stand_in(tmp_path: Path) -> None:
    changed = {name: value for changes in STAND_INS.values() for name, value in changes[0].items()}
    without = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}

    said = start({**without, "SAAS_PROCESS": "service"}, tmp_path).stderr

    assert {name for name in STAND_INS if said.count(f"- {name} ") == 1} == STAND_INS.keys()


def test_production_starts_without_stripe_where_nothing_is_sold(tmp_path: Path) -> None:
    without = {name: value for name, value in GOOD.items() if not name.startswith("STRIPE_")}

    assert start({**without, "BILLING": "off"}, tmp_path).returncode == 0


def test_stripes_test_mode_is_chosen_in_so_many_words(tmp_path: Path) -> None:
    chosen = {"STRIPE_SECRET_KEY": "sk_test_51H8xkzqB4Vw", "STRIPE_LIVEMODE": "false"}

    assert start({**GOOD, **chosen}, tmp_path).returncode == 0


def test_the_keys_of_development_sign_nothing_in_production(tmp_path: Path) -> None:
    without = {name: value for name, value in GOOD.items() if not name.startswith("JWT_")}

    said = start({**without, "JWT_KEY_DIR": str(tmp_path / "secrets" / "jwt")}, tmp_path).stderr

    assert said.count("- JWT_KEY_DIR must not be the folder of development's keys") == 2


COOKIE = "import saas.settings.{0} as s; print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_DOMAIN)"


@pytest.mark.parametrize(
    ("service", "cookie"),
    [
        ("product", "saas_session .example.com"),
        ("parity", "saas_session .example.com"),
        ("admin_ops", "__Host-saas_admin_session None"),
        ("webhooks", "__Host-saas_admin_session None"),
    ],
)
def test_the_staffs_cookie_is_never_shared_between_hosts(service: str, cookie: str, tmp_path: Path) -> None:
    result = start({**GOOD, "SESSION_COOKIE_DOMAIN": ".example.com"}, tmp_path, COOKIE.format(service))

    assert (result.stdout, result.returncode) == (f"{cookie}\n", 0)


@pytest.mark.parametrize("domain", ["", ".example.com"])
@pytest.mark.parametrize("service", ["product", "parity", "admin_ops", "webhooks"])
def test_the_csrf_cookie_is_never_shared_between_hosts(service: str, domain: str, tmp_path: Path) -> None:
    code = f"import saas.settings.{service} as s; print(s.CSRF_COOKIE_NAME, s.CSRF_COOKIE_SECURE)"

    result = start({**GOOD, "SESSION_COOKIE_DOMAIN": domain}, tmp_path, code)

    assert (result.stdout, result.returncode) == (f"__Host-{service}_csrf True\n", 0)


# ── Before there is a single secret ──────────────────────────────────────────────────────────────────────────────────


def managed(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "SAAS_VAR_DIR": str(tmp_path), "SAAS_ENV": "production", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["generate_secrets"], "SAAS_AUTH_PEPPER="),
        (["help"], "generate_secrets"),
        (["help", "generate_secrets"], "--output"),
        (["migrate", "--help"], "--plan"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_or_explains_secrets_needs_none(arguments: list[str], shown: str, tmp_path: Path) -> None:
    done = managed(tmp_path, *arguments)

    assert (done.returncode, shown in done.stdout) == (0, True), done.stderr


def test_a_deployment_check_tells_every_fault_before_there_is_a_secret(tmp_path: Path) -> None:
    done = managed(tmp_path, "check", "--deploy")

    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    required = GOOD.keys() - {"SAAS_ENV"}
    assert {name: done.stderr.count(f"(saas.E001) {name} ") for name in required} == dict.fromkeys(required, 1)


@pytest.mark.parametrize("command", [["migrate"], ["up"], ["dbshell", "--", "-h"]], ids=" ".join)
def test_every_other_command_needs_them(command: list[str], tmp_path: Path) -> None:
    done = managed(tmp_path, *command)

    assert done.returncode != 0
    assert "- SAAS_AUTH_PEPPER must be set" in done.stderr


def test_a_service_needs_them_whatever_its_arguments_are(tmp_path: Path) -> None:
    assert managed(tmp_path, "check", SAAS_PROCESS="service").returncode != 0


def test_production_refuses_to_start_on_one_secret_for_two_purposes(tmp_path: Path) -> None:
    same = {"SAAS_SESSION_SECRET": GOOD["SECRET_KEY"], "JWT_STAFF_SIGNING_KEY": GOOD["JWT_SIGNING_KEY"]}

    result = start({**GOOD, **same}, tmp_path)

    assert result.returncode != 0
    assert "- SAAS_SESSION_SECRET must differ from SECRET_KEY.\n" in result.stderr
    assert "- JWT_STAFF_SIGNING_KEY must differ from JWT_SIGNING_KEY.\n" in result.stderr
    assert GOOD["SECRET_KEY"] not in result.stderr


def test_signing_keys_may_come_from_a_folder_instead(tmp_path: Path) -> None:
    without = {name: value for name, value in GOOD.items() if not name.startswith("JWT_")}

    refused = start(without, tmp_path)
    started = start({**without, "JWT_KEY_DIR": str(tmp_path / "keys")}, tmp_path)

    assert (refused.returncode != 0, "- JWT_SIGNING_KEY" in refused.stderr) == (True, True)
    assert started.returncode == 0


def test_a_service_does_not_start_on_an_empty_folder_of_keys(tmp_path: Path) -> None:
    service = {name: value for name, value in GOOD.items() if not name.startswith("JWT_")}
    service |= {"JWT_KEY_DIR": str(tmp_path), "SAAS_PROCESS": "service"}

    refused = start(service, tmp_path)
    for audience, name in (("saas", "JWT_SIGNING_KEY"), ("saas-admin", "JWT_STAFF_SIGNING_KEY")):
        (tmp_path / f"{audience}.20000101T000000Z.pem").write_text(GOOD[name])
    started = start(service, tmp_path)

    assert refused.returncode != 0
    assert "- JWT_KEY_DIR holds no key for customers yet" in refused.stderr
    assert "- JWT_KEY_DIR holds no key for staff yet" in refused.stderr
    assert started.returncode == 0, started.stderr


def test_every_fault_is_named_in_one_message(tmp_path: Path) -> None:
    result = start({"SAAS_ENV": "production"}, tmp_path)

    required = GOOD.keys() - {"SAAS_ENV"}
    assert {name: result.stderr.count(f"- {name} ") for name in required} == dict.fromkeys(required, 1)


def test_the_starters_variable_names_work(tmp_path: Path) -> None:
    renamed = {
        "SAAS_AUTH_PEPPER": "RAPIDKIT_AUTH_CORE_PEPPER",
        "SAAS_SESSION_SECRET": "RAPIDKIT_SESSION_SECRET",
    }
    cookie = {"RAPIDKIT_SESSION_COOKIE_NAME": "__Host-theirs", "RAPIDKIT_SESSION_COOKIE_SECURE": "true"}

    result = start({**{renamed.get(name, name): value for name, value in GOOD.items()}, **cookie}, tmp_path, SHOWN)

    assert (result.returncode, result.stdout) == (0, f"{GOOD['SAAS_AUTH_PEPPER']} __Host-theirs True\n")


def test_a_secret_may_come_from_a_mounted_file(tmp_path: Path) -> None:
    mounted = tmp_path / "secret_key"
    mounted.write_text(GOOD["SECRET_KEY"] + "\n")
    environment = {name: value for name, value in GOOD.items() if name != "SECRET_KEY"}

    assert start({**environment, "SECRET_KEY_FILE": str(mounted)}, tmp_path).returncode == 0


def test_the_secrets_that_we_make_are_good_enough_for_production(tmp_path: Path) -> None:
    made = tmp_path / "production.env"

    call_command("generate_secrets", output=made)

    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert start({**GOOD, **dotenv_values(made)}, tmp_path).returncode == 0


def test_secrets_that_are_there_are_not_overwritten(tmp_path: Path) -> None:
    made = tmp_path / "production.env"
    made.write_text("kept")

    with pytest.raises(CommandError, match="is there already"):
        call_command("generate_secrets", output=made)

    assert made.read_text() == "kept"


@pytest.mark.parametrize("service", ["product", "admin_ops", "parity", "webhooks"])
def test_a_deployment_check_finds_nothing(service: str, tmp_path: Path) -> None:
    arguments = ["manage.py", "check", "--deploy", "--fail-level", "WARNING", f"--settings=saas.settings.{service}"]

    result = start(
        GOOD, tmp_path, f"from django.core.management import execute_from_command_line as run; run({arguments!r})"
    )

    assert result.returncode == 0, result.stderr
