"""The frame of the account's pages: a section for each subject."""

from typing import Any, ClassVar

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from product.pages.base import AccountFormPage, AccountPage

_SECTIONS = (
    ("account", _("Profile")),
    ("account-email", _("E-mail address")),
    ("account-security", _("Security")),
    ("account-devices", _("Devices")),
    ("account-support-visits", _("Support visits")),
    ("account-data", _("Your data")),
)


class SectionPage(AccountPage):
    """``here`` is the route of the section that the page belongs to."""

    section = "account"
    here: ClassVar[str] = "account"

    def context(self) -> dict[str, Any]:
        sections = [
            {"address": reverse(name), "label": gettext(label), "is_here": name == self.here}
            for name, label in _SECTIONS
        ]
        return {**super().context(), "sections": sections}


class SectionFormPage(SectionPage, AccountFormPage):
    pass
