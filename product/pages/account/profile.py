"""Name, picture, language and time zone; the e-mail address."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from product.pages.account.base import SectionFormPage, SectionPage
from saas.accounts import actions, email_verification
from saas.accounts.email_addresses import canonical_email
from saas.accounts.models import Profile
from saas.api import rate_limits
from saas.api.accounts.security import ChangeEmailBody
from saas.api.accounts.serializers import ProfileBody, time_zones
from saas.api.pages.forms import Field, Form, FormSpec


def _zone_options() -> list[tuple[str, str]]:
    """The zones that are places, and UTC."""
    places = sorted(name for name in time_zones() if "/" in name and not name.startswith(("Etc/", "posix", "right")))
    return [(name, name.replace("_", " ")) for name in ("UTC", *places)]


class ProfilePage(SectionFormPage):
    template = "product/pages/account/profile.html"
    form = FormSpec(
        ProfileBody,
        Field("full_name", _("Name"), autocomplete="name", required=False),
        Field(
            "avatar_url", _("Picture"), kind="url", required=False, placeholder="https://…",
            help=_("The address of a square picture on the web, starting with https://."),
        ),
        Field("locale", _("Language"), kind="select", options=settings.LANGUAGES, help=_("Of pages and mails.")),
        Field("timezone", _("Time zone"), kind="select", options=_zone_options(), keeps_unlisted=True),
    )  # fmt: skip

    def initial(self) -> dict[str, Any]:
        user = self.known.user
        profile = Profile.objects.filter(user=user).first() or Profile(user=user)
        shown = {"avatar_url": profile.avatar_url, "timezone": profile.timezone}
        return {"full_name": user.full_name, "locale": user.locale, **shown}

    def show(self, form: Form, *, status: int = 200) -> HttpResponse:
        """A picture comes from where its owner says; only over https, as the policy of this page says."""
        address = str(form.values.get("avatar_url", ""))
        self.images = "https:"
        self.picture = address if address.startswith("https://") and not form.errors else ""
        return super().show(form, status=status)

    def context(self) -> dict[str, Any]:
        return {**super().context(), "picture": self.picture}

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        actions.update_profile(self.known.user, body)
        with translation.override(body.get("locale", self.known.user.locale)):
            messages.success(self.request, gettext("Your profile is saved."))
        return HttpResponseRedirect(self.request.path)


class EmailPage(SectionFormPage):
    here = "account-email"
    template = "product/pages/account/email.html"
    form = FormSpec(ChangeEmailBody, Field("new_email", _("New address"), kind="email", autocomplete="email"))

    def submit(self, body: dict[str, Any]) -> HttpResponse:
        address_limit = rate_limits.email_change_address_limit(canonical_email(body["new_email"]))
        self.require_recent_login()
        self.enforce_limits(rate_limits.MAIL_AGAIN, address_limit)
        email_verification.request_email_change(self.known.user, new_email=body["new_email"])
        text = gettext("We sent a link to {email}. Until you use it, your address stays as it is.")
        messages.success(self.request, text.format(email=body["new_email"]))
        return HttpResponseRedirect(self.request.path)


class ResendPage(SectionPage):
    """The button of the banner: mails the link to the address that waits for its confirmation."""

    limits = (rate_limits.MAIL_AGAIN,)

    def back_url(self) -> str:
        return reverse("account-email")

    def get(self, request: HttpRequest, **place: str) -> HttpResponse:
        return HttpResponseRedirect(self.back_url())

    def post(self, request: HttpRequest) -> HttpResponse:
        user = self.known.user
        email_verification.send_verification(user)
        if user.is_verified:  # in another tab, since the banner was shown
            messages.success(request, gettext("Your address is confirmed already."))
        else:
            messages.success(request, gettext("The link is on its way to {email}.").format(email=user.email))
        return HttpResponseRedirect(self.back_url())
