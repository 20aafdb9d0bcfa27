"""Health checks of the account modules."""

from collections.abc import Callable

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from django.db.models import Model

from saas.accounts.models import Audience, LoginSession, OAuthIdentity, Profile, User
from saas.accounts.sessions import tokens
from saas.accounts.sessions.session_store import SessionStore
from saas.operations.health import Module


def _auth_core() -> None:
    """Read a token that was just signed."""
    probe = LoginSession(sid="ses_probe", user_id="usr_probe", audience=Audience.CUSTOMER)
    if tokens.read_access_token(tokens.issue_access_token(probe), Audience.CUSTOMER)["sid"] != probe.sid:
        raise RuntimeError("a token did not come back as it was")


def _session() -> None:
    """Query the session table."""
    SessionStore().exists("no such session")


def _oauth() -> None:
    """Compute the PKCE example of RFC 7636, appendix B, and query the table of identities."""
    challenge = create_s256_code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    if challenge != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM":
        raise RuntimeError("PKCE computes a wrong challenge")
    OAuthIdentity.objects.by_subject("no such issuer", "no such subject")


def _query(model: type[Model]) -> Callable[[], None]:
    """Return a check that queries the model's table."""

    def check() -> None:
        model._default_manager.order_by().values("pk")[:1].exists()

    return check


AUTH_CORE = Module("auth-core", ("passwords", "login", "bearer-tokens", "refresh-rotation"), _auth_core)
SESSION = Module("session", ("session-cookie", "devices", "revocation"), _session)
OAUTH = Module("oauth", ("openid-connect", "github", "pkce", "account-linking"), _oauth)
USERS_CORE = Module("users-core", ("accounts", "ban"), _query(User))
USERS_PROFILES = Module("users-profiles", ("profiles",), _query(Profile))
