"""Create an account."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from product.pages.sign_in.login import SignInPage
from saas.accounts import actions
from saas.accounts.actions import EmailTaken
from saas.accounts.models import Audience, User
from saas.accounts.sessions import logins
from saas.accounts.sessions.logins import InvalidCredentials
from saas.api import rate_limits
from saas.api.accounts.serializers import RegisterBody
from saas.api.pages.forms import Field, FormSpec
from saas.errors import DomainError


class RegisterPage(SignInPage):
    template = "product/pages/register.html"
    default_next = "billing" if settings.BILLING else "account"
    limits = (rate_limits.REGISTER, rate_limits.REGISTER_HOURLY)
    form = FormSpec(
        RegisterBody,
        Field("full_name", _("Your name"), autocomplete="name", required=False),
        Field("email", _("E-mail address"), kind="email", autocomplete="username"),
        Field(
            "password",
            _("Password"),
            kind="password",
            autocomplete="new-password",
            help=_("At least 12 characters. A few unrelated words work best."),
        ),
    )

    def initial(self) -> dict[str, Any]:
        return {"email": self.request.GET.get("email", "")[:254]}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        user = actions.new_customer(**body)
        self.enforce_limits(rate_limits.register_account_limit(user.email_canonical))
        try:
            login: logins.Login | logins.PendingMfa = actions.register_customer(
                user, password=body["password"], warns_owner=False
            )
            messages.success(self.request, gettext("Welcome. We sent you a link to confirm your address."))
        except EmailTaken as taken:
            login = self._log_in_instead(user, body["password"], taken)
        return self.go_on(login)

    def _log_in_instead(self, user: User, password: str, taken: EmailTaken) -> logins.Login | logins.PendingMfa:
        """Log in with the same password: it is the owner's, perhaps after a double click, who then needs no warning."""
        try:
            self.enforce_limits(rate_limits.LOGIN)
            return logins.log_in(email=user.email, password=password, audience=Audience.CUSTOMER)
        except DomainError as refusal:  # of a limit, too: guesses must not silence the warning
            actions.warn_owner(user.email_canonical)
            raise (taken if isinstance(refusal, InvalidCredentials) else refusal) from None
