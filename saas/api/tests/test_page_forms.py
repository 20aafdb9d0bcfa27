"""Fields of pages' forms."""

import pytest
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from saas.api.accounts.serializers import LoginBody, RegisterBody
from saas.api.pages.forms import Field, FormSpec

OPTIONS = [("a", _("Language")), ("a&b", '<b>"'), ("", "none")]
SPEC = FormSpec(LoginBody, Field("email", "Choice", kind="select", options=OPTIONS))


@pytest.mark.parametrize(
    ("chosen", "selected"),
    [
        ("a", (" selected", "", "")),
        ("a&b", ("", " selected", "")),
        ("", ("", "", " selected")),
        ('"><script>', ("", "", "")),
    ],
)
def test_the_chosen_option_is_selected_and_every_text_escaped(chosen, selected):
    html = (
        f'<option value="a"{selected[0]}>Language</option>'
        f'<option value="a&amp;b"{selected[1]}>&lt;b&gt;&quot;</option>'
        f'<option value=""{selected[2]}>none</option>'
    )

    with translation.override("en"):
        assert SPEC.blank(email=chosen)["email"].options_html == html


def test_options_are_in_the_language_of_the_page():
    shown = {}
    for language in ("en", "de", "en"):
        with translation.override(language):
            shown.setdefault(language, SPEC.blank(email="a")["email"].options_html)
            assert SPEC.blank(email="a")["email"].options_html == shown[language]

    assert shown["en"] != shown["de"]


def test_no_browser_cuts_off_a_password_that_is_too_long():
    form = FormSpec(RegisterBody, Field("full_name", "Name"), Field("password", "Password", kind="password")).blank()

    assert (form["full_name"].maxlength, form["password"].maxlength) == (200, None)
