"""Settings with which production refuses to start, besides invalid ones."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from saas import env
from saas.accounts.sessions import key_files

# For each key the audience of its tokens, and the audience's name in commands.
_SIGNERS = {"JWT_SIGNING_KEY": ("saas", "customers"), "JWT_STAFF_SIGNING_KEY": ("saas-admin", "staff")}
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1", "0.0.0.0"}  # noqa: S104
_SMTP = "saas.mail.smtp.EmailBackend"
_STRIPE_KEY = re.compile(r"(sk|rk)_(live|test)_\w{8,}")


Settings = Mapping[str, Any]
_checks: list[Callable[[Settings], Iterator[str]]] = []


def find_settings_faults(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each setting that is fit for development only: the variable's name, never its value."""
    for check in _checks:
        yield from check(settings)


def production_check(check: Callable[[Settings], Iterator[str]]) -> Callable[[Settings], Iterator[str]]:
    """Register a check that yields faults."""
    _checks.append(check)
    return check


@production_check
def check_modes(settings: Settings) -> Iterator[str]:
    for name in ("DEBUG", "WEBHOOKS_ALLOW_UNSIGNED", "WEBHOOKS_OPEN_OPERATOR_API"):
        if settings[name]:
            yield f"{name} must be off in production."
    for name in ("SESSION_COOKIE_SECURE", "STAFF_MFA_REQUIRED"):
        if not settings[name]:
            yield f"{name} must be on in production."
    if settings["PASSWORD_ITERATIONS"] < 600_000:
        yield "PASSWORD_ITERATIONS must be at least 600000 in production."


@production_check
def check_engines(settings: Settings) -> Iterator[str]:
    if not settings["DATABASE_URL"]:
        yield "DATABASE_URL must name a PostgreSQL database in production."
    for name in ("REDIS_URL", "CACHE_URL", "LIMITS_URL"):
        if not settings[name]:
            yield f"{name} must name a Redis server in production."
    if not settings["CELERY_BROKER_URL"].startswith(("redis://", "rediss://", "amqp://", "amqps://", "pyamqp://")):
        yield "BROKER_URL must name Redis or RabbitMQ in production."


@production_check
def check_mail(settings: Settings) -> Iterator[str]:
    """Mails contain live links: only a mail server may transport them."""
    if settings.get("EMAIL_BACKEND", _SMTP) != _SMTP:  # an invalid one is a fault already
        yield "EMAIL_URL must name a mail server, smtp://host:port, in production."
    if _is_of_this_machine(parseaddr(settings["DEFAULT_FROM_EMAIL"])[1].rpartition("@")[2]):
        yield "DEFAULT_FROM_EMAIL must be an address at a public host name in production."


@production_check
def check_billing(settings: Settings) -> Iterator[str]:
    """The local provider and stand-ins for Stripe charge no one."""
    key = settings["STRIPE_SECRET_KEY"]
    if settings["BILLING"] and not key:
        yield "STRIPE_SECRET_KEY must be set in production, or BILLING=off: the local provider sells for nothing."
    elif settings["BILLING"] and not _STRIPE_KEY.fullmatch(key):
        yield "STRIPE_SECRET_KEY must be a secret or restricted key of Stripe in production."
    elif settings["BILLING"] and ("_live_" in key) != settings["STRIPE_LIVEMODE"]:
        yield "STRIPE_SECRET_KEY must be of the mode that STRIPE_LIVEMODE says: a test key sells for nothing."
    if settings["STRIPE_API_BASE"]:
        yield "STRIPE_API_BASE must be empty in production: it leads to a stand-in."


@production_check
def check_cookies(settings: Settings) -> Iterator[str]:
    """Customers' hosts may share a cookie; the staff's belongs to one host (``accounts.STAFF_SESSION_COOKIE_NAME``)."""
    name, domain = settings["CUSTOMER_SESSION_COOKIE_NAME"], settings["SESSION_COOKIE_DOMAIN"]
    urls = {service: urlsplit(url).hostname for service, url in settings["SERVICE_BASE_URLS"].items()}
    if name.removeprefix("__Host-") == settings["STAFF_SESSION_COOKIE_NAME"].removeprefix("__Host-"):
        yield "SESSION_COOKIE_NAME must differ from the staff's cookie."
    if domain and name.startswith("__Host-"):
        yield "SESSION_COOKIE_NAME must not begin with __Host- where SESSION_COOKIE_DOMAIN is set: browsers refuse it."
    customers_hosts = {name: urls[name] for name in ("product", "parity") if name in urls}
    if domain and not all(f".{host}".endswith(f".{domain.strip('.')}") for host in customers_hosts.values()):
        names = " and ".join(f"{name.upper()}_BASE_URL" for name in customers_hosts)
        yield f"SESSION_COOKIE_DOMAIN must hold the host names of {names}."
    if urls["admin_ops"] in customers_hosts.values() and not _is_of_this_machine(urls["admin_ops"] or ""):
        yield "ADMIN_OPS_BASE_URL must have a host name of its own in production: browsers share cookies between ports."


def _is_of_this_machine(host: str) -> bool:
    return not host or host in _LOOPBACK or host.endswith((".localhost", ".local", ".invalid", ".test"))


def _is_public(url: str) -> bool:
    return url.startswith("https://") and not _is_of_this_machine(urlsplit(url).hostname or "")


@production_check
def check_addresses(settings: Settings) -> Iterator[str]:
    hosts = settings["ALLOWED_HOSTS"]
    if not hosts or any("*" in host or host.startswith(".") for host in hosts):
        yield "ALLOWED_HOSTS must list the host names, without wildcards, in production."
    urls = {f"{name.upper()}_BASE_URL": url for name, url in settings["SERVICE_BASE_URLS"].items()}
    urls |= {"FRONTEND_BASE_URL": settings["FRONTEND_BASE_URL"], "JWT_ISSUER": settings["JWT_ISSUER"]}
    for name, url in urls.items():
        if not _is_public(url):
            yield f"{name} must start with https:// and a public host name in production."
    if not settings["FRONT_PAGES"] and not env.is_set("FRONTEND_BASE_URL"):
        yield "FRONTEND_BASE_URL must be set in production where FRONT_PAGES is off: links in mails lead there."
    for origin in settings["CORS_ALLOWED_ORIGINS"]:
        if not _is_public(origin) or "*" in origin:
            yield "CORS_ALLOWED_ORIGINS must list exact https:// origins in production."
            return


@production_check
def check_proxies(settings: Settings) -> Iterator[str]:
    for network in settings["TRUSTED_PROXY_CIDRS"]:
        if network != "unix" and ipaddress.ip_network(network).prefixlen == 0:
            yield "TRUSTED_PROXY_CIDRS must not trust the whole internet in production."


@production_check
def check_secrets(settings: Settings) -> Iterator[str]:
    """Each secret is set, long and random, and differs from the others."""
    named = [
        ("SECRET_KEY", settings["SECRET_KEY"]),
        *(("SECRET_KEY_FALLBACKS", value) for value in settings["SECRET_KEY_FALLBACKS"]),
        ("SAAS_AUTH_PEPPER", settings["AUTH_PEPPER"]),
        *(("SAAS_AUTH_PEPPER_FALLBACKS", value) for value in settings["AUTH_PEPPER_FALLBACKS"]),
        ("SAAS_SESSION_SECRET", settings["SESSION_SECRET"]),
        *(("SAAS_SESSION_SECRET_FALLBACKS", value) for value in settings["SESSION_SECRET_FALLBACKS"]),
        ("SAAS_MFA_KEY", settings["MFA_KEY"]),
        *(("SAAS_MFA_KEY_FALLBACKS", value) for value in settings["MFA_KEY_FALLBACKS"]),
        ("SAAS_AUDIT_KEY", settings["AUDIT_KEY"]),
        *(("SAAS_AUDIT_KEY_FALLBACKS", value) for value in settings["AUDIT_KEY_FALLBACKS"]),
        # Without billing no provider need sign; then every delivery is refused.
        *(
            ("STRIPE_WEBHOOK_SECRET", value)
            for value in settings["STRIPE_WEBHOOK_SECRETS"] or [""] * settings["BILLING"]
        ),
        *_if_set("INTERNALS_TOKEN", settings["INTERNALS_TOKEN"]),
        *(("INTERNALS_TOKEN_FALLBACKS", value) for value in settings["INTERNALS_TOKEN_FALLBACKS"]),
    ]
    seen: dict[str, str] = {}
    for name, value in named:
        if weakness := env.secret_weakness(value):
            yield f"{name} {weakness}."
        elif value in seen:
            yield f"{name} must differ from {seen[value]}."
        if value:
            seen.setdefault(value, name)


def _if_set(name: str, value: str) -> Iterator[tuple[str, str]]:
    if value:
        yield name, value


@production_check
def check_keys(settings: Settings) -> Iterator[str]:
    """Signing keys are private EC P-256 keys, one per audience; verification keys are readable EC P-256 keys."""
    pems = {name: settings["JWT_KEYS"][audience] for name, (audience, _) in _SIGNERS.items()}
    for name, pem in pems.items():
        if not pem:
            yield from _folder_of_keys(settings, name)
        elif not _is_p256(pem, is_private=True):
            yield f"{name} must be the private key of an EC P-256 pair, in PEM."
    first, second = pems.values()
    if first and first == second:
        yield "JWT_STAFF_SIGNING_KEY must differ from JWT_SIGNING_KEY."
    for name, (audience, _) in _SIGNERS.items():
        if not all(_holds_p256(Path(path)) for path in settings["JWT_VERIFY_KEYS"][audience]):
            yield f"{name}_FALLBACKS must name files that hold EC P-256 keys, in PEM."


def _folder_of_keys(settings: Settings, name: str) -> Iterator[str]:
    """A service needs an existing key; a command may create the first one."""
    audience, people = _SIGNERS[name]
    folder: Path | None = settings["JWT_KEY_DIR"]
    if not folder:
        yield f"{name} must be set, or JWT_KEY_DIR, in production."
    elif folder.resolve().is_relative_to((settings["VAR_DIR"] / "secrets").resolve()):
        yield f"JWT_KEY_DIR must not be the folder of development's keys ({people})."
    elif settings["PROCESS"] == "service" and not key_files.list_key_files(folder, audience):
        yield f"JWT_KEY_DIR holds no key for {people} yet: `manage.py rotate_jwt_key --audience {people}` makes the first."


def _holds_p256(path: Path) -> bool:
    try:
        pem = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return _is_p256(pem, is_private="PRIVATE" in pem)


def _is_p256(pem: str, *, is_private: bool) -> bool:
    raw = pem.replace("\\n", "\n").encode()
    try:
        key: Any = (
            serialization.load_pem_private_key(raw, password=None)
            if is_private
            else serialization.load_pem_public_key(raw)
        )
    except (ValueError, TypeError):  # TypeError: it has a passphrase
        return False
    return isinstance(getattr(key, "curve", None), ec.SECP256R1)


@production_check
def check_providers(settings: Settings) -> Iterator[str]:
    for name, provider in settings["OAUTH_PROVIDERS"].items():
        if name != "oidc" and not provider.client_secret:  # other issuers may allow public clients
            yield f"OAUTH_{name.upper()}_CLIENT_SECRET must be set when OAUTH_{name.upper()}_CLIENT_ID is."
        if provider.issuer and not _is_public(provider.issuer):
            yield f"OAUTH_{name.upper()}_ISSUER must start with https:// and a public host name in production."
