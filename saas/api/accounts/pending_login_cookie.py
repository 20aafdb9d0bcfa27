"""The cookie between the two steps of a login on pages: it holds what an app gets as ``mfa_token``."""

from saas.accounts.sessions.logins import PENDING_MFA_LIFETIME
from saas.api.pages.page_cookies import PageCookie

PENDING_LOGIN = PageCookie("saas_pending_login", "/login", PENDING_MFA_LIFETIME)
