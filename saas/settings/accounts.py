"""Authentication: secrets, passwords, tokens, sessions, OAuth providers."""

from dataclasses import dataclass
from pathlib import Path

from saas import env
from saas.accounts.metadata import key_fault
from saas.settings.base_urls import SERVICE_BASE_URLS
from saas.settings.environment import DEVELOPMENT_SECRETS, OAUTH, PRODUCTION

SECRET_KEY = env.secret("SECRET_KEY", development_dir=DEVELOPMENT_SECRETS, help="Django's signing key.")
SECRET_KEY_FALLBACKS = env.comma_separated(
    "SECRET_KEY_FALLBACKS",
    are_secrets=True,
    help="Other keys that are accepted during a rotation: first the next one, then the earlier one (commas between).",
)
AUTH_PEPPER = env.secret(
    "SAAS_AUTH_PEPPER",
    aliases=["RAPIDKIT_AUTH_CORE_PEPPER"],
    development_dir=DEVELOPMENT_SECRETS,
    help="Keyed step of the password hash. Losing it means a reset for everybody.",
)
AUTH_PEPPER_FALLBACKS = env.comma_separated(
    "SAAS_AUTH_PEPPER_FALLBACKS",
    are_secrets=True,
    aliases=["SAAS_AUTH_PEPPER_PREVIOUS"],
    help="Other peppers that are accepted during a rotation (commas between).",
)
SESSION_SECRET = env.secret(
    "SAAS_SESSION_SECRET",
    aliases=["RAPIDKIT_SESSION_SECRET"],
    development_dir=DEVELOPMENT_SECRETS,
    help="Key under which session cookies are stored hashed.",
)
SESSION_SECRET_FALLBACKS = env.comma_separated(
    "SAAS_SESSION_SECRET_FALLBACKS",
    are_secrets=True,
    help="Other session secrets that are accepted during a rotation (commas between).",
)
MFA_KEY = env.secret(
    "SAAS_MFA_KEY", development_dir=DEVELOPMENT_SECRETS, help="Encrypts the secrets of second factors."
)
MFA_KEY_FALLBACKS = env.comma_separated(
    "SAAS_MFA_KEY_FALLBACKS",
    are_secrets=True,
    aliases=["SAAS_MFA_KEYS_PREVIOUS"],
    help="Other keys that decrypt them during a rotation (commas between).",
)
AUDIT_KEY = env.secret(
    "SAAS_AUDIT_KEY",
    development_dir=DEVELOPMENT_SECRETS,
    help="Signs the audit trail, so that the database's owner cannot forge it.",
)
AUDIT_KEY_FALLBACKS = env.comma_separated(
    "SAAS_AUDIT_KEY_FALLBACKS", are_secrets=True, help="Other keys that verify it; keep earlier ones (commas between)."
)
_ANCHOR_FILE = env.text(
    "AUDIT_ANCHOR_FILE",
    help="Where sealing appends the audit trail's head; out of the reach of the database's owner. Empty: only the log.",
)
AUDIT_ANCHOR_FILE = Path(_ANCHOR_FILE) if _ANCHOR_FILE else None

AUTH_USER_MODEL = "accounts.User"
# It accepts no login: ``saas.accounts.sessions.logins`` does.
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.BaseBackend"]
PASSWORD_HASHERS = [
    "saas.accounts.passwords.hashers.PepperedPBKDF2",  # makes all new ones
    "saas.accounts.passwords.imported_hashers.ImportedBcrypt",
    "saas.accounts.passwords.imported_hashers.ImportedBcryptSHA256",
    "saas.accounts.passwords.imported_hashers.ImportedArgon2",
    "saas.accounts.passwords.imported_hashers.ImportedPBKDF2",
    "saas.accounts.passwords.imported_hashers.ImportedPBKDF2SHA1",
    "saas.accounts.passwords.imported_hashers.ImportedFirebaseScrypt",
]
PASSWORD_ITERATIONS = env.integer(
    "PASSWORD_ITERATIONS",
    default=600_000,
    minimum=100_000,
    help="PBKDF2-SHA256 iterations. Older hashes are renewed at login.",
)
_BREACHED_PASSWORDS_FILE = env.text(
    "BREACHED_PASSWORDS_FILE",
    help="Passwords from breaches, one a line (a text file, or its `.gz`), that are refused; kept in memory.",
)
if _BREACHED_PASSWORDS_FILE and not Path(_BREACHED_PASSWORDS_FILE).is_file():
    env.note_fault("BREACHED_PASSWORDS_FILE names no file.")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "saas.accounts.passwords.validators.LengthValidator"},
    {
        "NAME": "saas.accounts.passwords.common_passwords.CommonPasswordValidator",
        "OPTIONS": {"breached_passwords_file": _BREACHED_PASSWORDS_FILE},
    },
    {"NAME": "saas.accounts.passwords.validators.ContextValidator"},
]
ACCESS_TOKEN_MINUTES = env.integer(
    "ACCESS_TOKEN_MINUTES", default=15, minimum=1, maximum=30, help="Life of a customer's access token."
)
JWT_ISSUER = env.text("JWT_ISSUER", default=SERVICE_BASE_URLS["product"], help="`iss` of every access token.")
JWT_KEYS = {
    "saas": env.text(
        "JWT_SIGNING_KEY", help="PEM of the EC P-256 key that signs customers' tokens. Empty: a key of `JWT_KEY_DIR`."
    ),
    "saas-admin": env.text("JWT_STAFF_SIGNING_KEY", help="The same for staff tokens; must be another key."),
}
JWT_VERIFY_KEYS = {
    "saas": env.comma_separated(
        "JWT_SIGNING_KEY_FALLBACKS",
        aliases=["JWT_VERIFY_KEYS"],
        help="Files (PEM, commas between) of other customer keys that verify: the next one, and those before.",
    ),
    "saas-admin": env.comma_separated("JWT_STAFF_SIGNING_KEY_FALLBACKS", help="The same for staff keys."),
}
_KEY_DIR = env.text(
    "JWT_KEY_DIR", help="Folder of signing keys that `rotate_jwt_key` turns over. In development `var/secrets/jwt`."
)
JWT_KEY_DIR = Path(_KEY_DIR) if _KEY_DIR else DEVELOPMENT_SECRETS / "jwt" if DEVELOPMENT_SECRETS else None
STAFF_MFA_REQUIRED = env.boolean(
    "STAFF_MFA_REQUIRED",
    default=PRODUCTION,
    help="Staff without a second factor may only set one up. Default in production: `true`.",
)


@dataclass(frozen=True)
class OAuthProvider:
    """A sign-in provider. ``issuer`` is set for OpenID Connect; GitHub, which is OAuth 2.0 only, has none.

    ``hosts``: the only host names besides the issuer's that are called for this provider, whatever its discovery document says.
    """

    name: str
    client_id: str
    client_secret: str
    issuer: str = ""
    hosts: tuple[str, ...] = ()


def _oauth_provider(name: str, issuer: str, hosts: tuple[str, ...], *, may_be_public: bool = False) -> OAuthProvider:
    prefix = f"OAUTH_{name.upper()}"
    more = " Empty for a public client, which proves itself by PKCE alone." if may_be_public else ""
    provider = OAuthProvider(
        name=name,
        client_id=env.text(f"{prefix}_CLIENT_ID", help=f"Turns {name} sign-in on."),
        client_secret=env.text(f"{prefix}_CLIENT_SECRET", help=f"Client secret at {name}.{more}"),
        issuer=issuer,
        hosts=hosts,
    )
    if PRODUCTION and OAUTH and provider.client_id and not (provider.client_secret or may_be_public):
        env.note_fault(f"{prefix}_CLIENT_SECRET must be set when {prefix}_CLIENT_ID is.")
    return provider


_PROVIDERS = [
    _oauth_provider("google", "https://accounts.google.com", ("oauth2.googleapis.com", "www.googleapis.com")),
    _oauth_provider("microsoft", "https://login.microsoftonline.com/common/v2.0", ()),
    _oauth_provider("github", "", ("github.com", "api.github.com")),
]
_OIDC_ISSUER = env.text(
    "OAUTH_OIDC_ISSUER", help="Issuer URL of another OpenID Connect provider (named `oidc`)."
).rstrip("/")
_OIDC_HOSTS = env.comma_separated(
    "OAUTH_OIDC_HOSTS", help="Host names of its endpoints, where they are not the issuer's."
)
_PROVIDERS.append(_oauth_provider("oidc", _OIDC_ISSUER, tuple(_OIDC_HOSTS), may_be_public=True))
OAUTH_PROVIDERS = {
    provider.name: provider for provider in _PROVIDERS if provider.client_id and OAUTH
}  # the others are off
if "oidc" in OAUTH_PROVIDERS and not _OIDC_ISSUER:
    env.note_fault("OAUTH_OIDC_ISSUER must be set when OAUTH_OIDC_CLIENT_ID is.")

USER_METADATA_WRITABLE = env.comma_separated(
    "USER_METADATA_WRITABLE",
    help="Keys of their own `metadata` that customers may set (commas between); staff set all.",
)
TEAM_METADATA_WRITABLE = env.comma_separated(
    "TEAM_METADATA_WRITABLE", help="The same of a team's `metadata`, for its owners and admins."
)
for _name, _keys in (
    ("USER_METADATA_WRITABLE", USER_METADATA_WRITABLE),
    ("TEAM_METADATA_WRITABLE", TEAM_METADATA_WRITABLE),
):
    for _fault in sorted({fault for key in _keys if (fault := key_fault(key))}):
        env.note_fault(f"{_name} names a key that cannot be: {_fault}")

IMPERSONATION_ENABLED = env.boolean(
    "IMPERSONATION_ENABLED", default=True, help="Whether staff may act in a customer's name. Off ends it at once."
)

SESSION_ENGINE = "saas.accounts.sessions.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = env.boolean(
    "SESSION_COOKIE_SECURE",
    aliases=["RAPIDKIT_SESSION_COOKIE_SECURE"],
    default=PRODUCTION,
    help="Cookies over https only. Default in production: `true`.",
)
SESSION_COOKIE_DOMAIN = (
    env.text(
        "SESSION_COOKIE_DOMAIN", help="Set to share the session cookie between host names, such as `.example.com`."
    )
    or None
)
# With this prefix browsers take a cookie from its own host alone, over https, for every path.
COOKIE_PREFIX = "__Host-" if SESSION_COOKIE_SECURE else ""
CUSTOMER_SESSION_COOKIE_NAME = env.text(
    "SESSION_COOKIE_NAME",
    aliases=["RAPIDKIT_SESSION_COOKIE_NAME"],
    default="saas_session" if SESSION_COOKIE_DOMAIN else f"{COOKIE_PREFIX}saas_session",
    help="Session cookie of Product and Parity. Default: `saas_session`, in production `__Host-saas_session`.",
)
STAFF_SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}saas_admin_session"  # of one host, whatever customers' hosts share
SESSION_COOKIE_AGE = 30 * 24 * 3600  # seconds; the idle limit is kept by the session row
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
MESSAGE_STORAGE = "saas.api.pages.messages.MessageStorage"
CSRF_FAILURE_VIEW = "saas.api.pages.stale_forms.csrf_failed"
