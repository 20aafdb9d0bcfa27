"""The cookie that keeps an invitation's token in the browser, for the way back from a login.

A sign-in at a provider stores the address to come back to (``OAuthState.return_to``). The token is not part of it, because an
account can be made with the token alone.
"""

from datetime import timedelta

from saas.api.pages.page_cookies import PageCookie

KEPT_INVITATION = PageCookie("saas_invitation", "/invitations/accept", timedelta(minutes=30))
