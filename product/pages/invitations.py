"""The page behind a mailed invitation: join, register and join in one step, log in first, or change the account.

The token proves the mailbox, so its holder may know whether the address has an account.
"""

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from product.pages.base import FormPage
from product.pages.invitation_cookie import KEPT_INVITATION
from product.pages.provider_links import provider_links
from product.teams.serializers import AcceptBody, InvitedBody
from saas.accounts.actions import RegistrationClosed
from saas.accounts.models import User
from saas.accounts.sessions import logins
from saas.accounts.sessions.session_store import SessionStore
from saas.api import rate_limits
from saas.api.accounts.views import set_session_cookie
from saas.api.pages.forms import Field, FormSpec
from saas.errors import DomainError
from saas.teams import invitations
from saas.teams.models import Invitation, Membership

MAX_TOKEN = 200
_TOKEN = Field("token", "", kind="hidden")
_LINK = FormSpec(AcceptBody, Field("token", _("Link or code from the mail"), autocomplete="off"))
_BUTTON = FormSpec(AcceptBody, _TOKEN)
_REGISTRATION = FormSpec(
    InvitedBody,
    _TOKEN,
    Field("full_name", _("Your name"), autocomplete="name", required=False),
    Field(
        "password",
        _("Password"),
        kind="password",
        autocomplete="new-password",
        help=_("At least 12 characters. A few unrelated words work best."),
    ),
)


class AcceptInvitationPage(FormPage):
    """``state`` is what can be done: "join", "register", "log_in", "switch", or "paste" without a token."""

    template = "product/pages/accept_invitation.html"
    limits = (rate_limits.INVITATION_ACCEPT,)
    keeps_answers: ClassVar[bool] = False  # an answer sets cookies; joining twice is refused by the invitation
    form = _LINK
    invitation: Invitation | None = None
    state = "paste"

    def admit(self) -> HttpResponseBase | None:
        sent = self.request.POST if self.request.method == "POST" else self.request.GET
        self.token = str(sent.get("token", "")).strip().rpartition("token=")[2][:MAX_TOKEN]
        if "kept" in self.request.GET and not self.token:
            self.token = KEPT_INVITATION.read(self.request)[:MAX_TOKEN]
        if answer := super().admit():
            return answer
        if self.token:
            self.invitation = invitations.find_invitation(self.token)
            self.state = self._find_state(self.invitation)
            self.form = _REGISTRATION if self.state == "register" else _BUTTON  # type: ignore[misc]
        return None

    def _find_state(self, invitation: Invitation) -> str:
        owner = User.objects.by_email(invitation.email)
        if self.visitor and self.visitor.user.email_canonical != invitation.email_canonical:
            return "switch"
        if owner is None or not owner.is_verified:
            if settings.REGISTRATION == "closed":
                raise RegistrationClosed
            return "register"  # also for who is logged in to an unconfirmed account: see saas.accounts.account_handover
        return "join" if self.visitor else "log_in"

    def initial(self) -> dict[str, Any]:
        return {"token": self.token}

    def context(self) -> dict[str, Any]:
        here = f"{self.request.path}?kept"
        email = self.invitation.email if self.invitation else ""
        query = urlencode({"next": here, "email": email})
        providers = provider_links(here) if self.state == "register" else []
        return {"state": self.state, "invitation": self.invitation, "login_query": query, "providers": providers}

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        answer = super().get(request, **place)
        if self.state in {"log_in", "register"}:
            KEPT_INVITATION.set(answer, self.token)
        return answer

    def post(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        if self.state == "switch":
            return self._switch()
        return super().post(request, **place)

    def _switch(self) -> HttpResponse:
        """Log out, and open the page again without a login."""
        if self.visitor:
            logins.log_out(self.visitor.session)
            self.request.session = SessionStore()
        return HttpResponseRedirect(f"{self.request.path}?{urlencode({'token': self.token})}")

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        self.enforce_limits(rate_limits.mailed_link_token_limit(body["token"]))
        if self.state == "register":
            return self._register(body)
        if self.state == "join" and self.visitor:
            return self._joined(invitations.accept_invitation(body["token"], user=self.visitor.user))
        return HttpResponseRedirect(f"{self.request.path}?{urlencode({'token': body['token']})}")

    def _register(self, body: dict[str, Any]) -> HttpResponse:
        self.enforce_limits(rate_limits.REGISTER, rate_limits.REGISTER_HOURLY)
        login, membership = invitations.register_by_invitation(body.pop("token"), **body)
        set_session_cookie(Request(self.request), login)
        return self._joined(membership)

    def _joined(self, membership: Membership) -> HttpResponse:
        messages.success(self.request, gettext("You are in the team now."))
        return HttpResponseRedirect(reverse("team-page", args=[membership.team_id]))

    def refused(self, refusal: DomainError) -> HttpResponse:
        """The invitation cannot be accepted, or not now: its sentence, and where to go on."""
        return self.render_refusal("product/pages/invitation_refused.html", refusal)
