"""The cookie that keeps an invitation's token in the browser, for the way back from a login.

A sign-in at a provider stores the address to come back to (``OAuthState.return_to``). The token is not in it, for whoever reads
the token can make an account.
"""

from datetime import timedelta

from saas.api.pages.page_cookies import PageCookie

KEPT_INVITATION = PageCookie("saas_invitation", "/invitations/accept", timedelta(minutes=30))
