"""Every mail: text and HTML that say the same, in both languages, with a way on that is there."""

import ast
import re
from html import unescape
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.urls import resolve

from saas.branding.colors import contrast
from saas.mail.brand import mail_brand
from saas.mail.models import Mail
from saas.mail.rendering import render_message
from saas.security.encryption import encrypt
from saas.testing.mails import MAIL_VALUES

LAYOUT = {"base", "button", "greeting", "of_team"}
ALERTS = {"billing_alert", "webhook_alert"}  # to an address of the settings
TOKENS = {
    "verify_email", "welcome", "confirm_new_email", "deletion_requested", "password_reset", "team_invitation",
}  # fmt: skip
NOTICES_TO_STAFF = (
    "mfa_disabled", "mfa_enabled", "mfa_recovery_codes_renewed", "mfa_reset", "new_device", "password_changed",
    "recovery_code_used", "session_ended_reuse",
)  # fmt: skip
LANGUAGES = ("en", "de")
ALL = [(template, language) for template in sorted(MAIL_VALUES) for language in LANGUAGES]


def render(template: str, language: str = "en", **values: str) -> EmailMultiAlternatives:
    token = {"token": encrypt("t0ken", secret=settings.SECRET_KEY)} if template in TOKENS else {}
    context = {**MAIL_VALUES[template], **values}
    row = Mail(pk=1, template=template, recipient="kim@example.net", locale=language, context=context, sealed=token)
    return render_message(row)


def html_of(mail: EmailMultiAlternatives) -> str:
    return str(mail.alternatives[0].content)


def words(html: str) -> str:
    """What a reader of the HTML sees, without the line breaks of its source."""
    body = re.sub(r"<(style|title)>.*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_every_template_is_listed_with_its_values() -> None:
    templates = {path.stem for path in settings.BASE_DIR.glob("saas/*/templates/mail/*.txt")}

    assert templates - LAYOUT == MAIL_VALUES.keys()


@pytest.mark.parametrize(("template", "language"), ALL)
def test_a_mail_is_whole_as_text_and_as_html(template: str, language: str) -> None:
    mail = render(template, language)

    assert 5 < len(mail.subject) < 70
    assert mail.body.startswith({"en": "Hello", "de": "Guten Tag"}[language])
    for text in (mail.subject, mail.body, words(html_of(mail))):
        assert not re.search(r"[{}]|%\(|None", text)
    for value in MAIL_VALUES[template].values():
        if value not in {"http://localhost:8003/api/webhooks/logs", "team_01", "read and write"}:
            assert value in mail.subject + mail.body
    assert f'<html lang="{language}">' in html_of(mail)


@pytest.mark.parametrize(("template", "language"), ALL)
def test_text_and_html_say_the_same(template: str, language: str) -> None:
    mail = render(template, language)
    seen = words(html_of(mail))

    paragraphs = re.split(r"\n+", str(mail.body).strip())
    missing = [line for line in paragraphs if line != "-- " and line.strip(": ") not in seen]
    assert missing == []


@pytest.mark.parametrize(("template", "language"), ALL)
def test_every_mail_has_one_way_on_and_it_is_there(template: str, language: str) -> None:
    mail = render(template, language)

    (link,) = re.findall(r'href="([^"]+)"', html_of(mail))
    assert unescape(link) in str(mail.body).split()
    parts = urlsplit(unescape(link))
    service = {"webhook_alert": "webhooks", "billing_alert": "admin_ops"}.get(template, "product")
    assert f"{parts.scheme}://{parts.netloc}" == settings.SERVICE_BASE_URLS[service]
    assert resolve(parts.path, f"{service}.urls")
    assert (parts.query == "token=t0ken") is (template in TOKENS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", NOTICES_TO_STAFF)
def test_a_notice_to_staff_has_their_login_as_the_one_way_on(template: str, language: str) -> None:
    page = "http://localhost:8001/admin/login/"

    mail = render(template, language, staff_login=page)

    assert re.findall(r'href="([^"]+)"', html_of(mail)) == [page]
    assert page in str(mail.body).split()
    assert resolve(urlsplit(page).path, "admin_ops.urls")


@pytest.mark.parametrize(("template", "language"), ALL)
def test_links_lead_to_the_front_end_that_is_set(settings, template: str, language: str) -> None:
    settings.FRONTEND_BASE_URL = "https://app.example.com"

    mail = render(template, language)

    found = re.findall(r"https?://[^\s\"<>,]+", str(mail.body) + html_of(mail))
    elsewhere = {url for url in found if not url.startswith("https://app.example.com")}
    assert elsewhere <= {MAIL_VALUES["webhook_alert"]["logs"], MAIL_VALUES["billing_alert"]["customers"]}


@pytest.mark.parametrize("template", sorted(MAIL_VALUES.keys() - ALERTS))
def test_every_mail_differs_in_the_other_language(template: str) -> None:
    english, german = render(template), render(template, "de")

    assert english.subject != german.subject
    lines = set(english.body.splitlines()) & set(german.body.splitlines())
    assert [line for line in lines if " " in line.strip() and line != "-- "] == []


def test_a_link_that_was_queued_before_the_key_was_replaced_is_whole(settings) -> None:
    row = Mail(
        pk=1, template="password_reset", recipient="kim@example.net", locale="en", context=MAIL_VALUES["password_reset"],
        sealed={"token": encrypt("t0ken", secret=settings.SECRET_KEY)},
    )  # fmt: skip
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "x" * 50, [settings.SECRET_KEY]

    assert "token=t0ken" in render_message(row).body


@pytest.mark.parametrize("locale", ["de", "de-AT", "de-ch"])
def test_a_dialect_is_written_in_its_language(locale: str) -> None:
    assert render("password_changed", locale).subject == "Ihr Passwort wurde geändert"


@pytest.mark.parametrize("locale", ["en", "en-GB", "fr", "", "x"])
def test_a_language_we_do_not_have_is_written_in_english(locale: str) -> None:
    assert render("password_changed", locale).subject == "Your password was changed"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("api_key_created", {"key": "", "team": "", "team_id": "", "maker": "", "may": "read"}),
        ("api_key_created", {"key": "https://evil.example"}),
        ("api_key_created", {"maker": "https://evil.example"}),
        ("api_key_created", {"team": "https://evil.example"}),
        ("team_invitation", {"inviter": "https://evil.example"}),
        ("team_invitation", {"team": "https://evil.example"}),
        ("team_invitation", {"inviter": ""}),
        ("team_invitation", {"team": ""}),
        ("team_invitation", {"team": "", "inviter": ""}),
        ("payment_failed", {"number": ""}),
        ("payment_failed", {"keeps_plan": "yes", "is_retried": "yes"}),
        ("trial_ending", {"plan": ""}),
        ("trial_ending", {"needs_method": "yes"}),
        ("trial_ending", {"needs_method": "yes", "plan": ""}),
        ("renewal_upcoming", {"planned": "Starter"}),
        ("renewal_upcoming", {"amount": ""}),
        ("receipt", {"team": "Engineering", "billing_path": "/teams/team_01/billing"}),
        ("password_changed", {"ended": ""}),
        ("recovery_code_used", {"left": "9"}),
        ("new_device", {"agent": "", "address": ""}),
        ("webhook_alert", {"event_id": "", "event_type": "", "reason": ""}),
        ("deletion_canceled", {"banned": "yes"}),
        ("welcome", {"name": ""}),
    ],
)
def test_what_is_not_known_leaves_no_hole(template: str, values: dict[str, str], language: str) -> None:
    text = str(render(template, language, **values).body)

    assert not re.search(r"“”|„“|\"\"|  |: ,| ,|\n\n\n|evil", text.replace("-- \n", ""))


def test_what_people_typed_is_escaped_in_html_and_plain_in_text() -> None:
    mail = render("team_invitation", team="R&D <b>", inviter="Kim")

    assert "R&D <b>" in mail.body
    assert "R&amp;D &lt;b&gt;" in html_of(mail)
    assert "<b>" not in html_of(mail)


def test_a_mail_loads_nothing_without_a_logo() -> None:
    assert re.findall(r"src=|url\(|@import|<link", html_of(render("welcome"))) == []


@pytest.mark.parametrize(
    ("logo", "address"),
    [
        ("/static/logo.svg", "http://localhost:8000/static/logo.svg"),
        ("https://cdn.example.com/logo.png", "https://cdn.example.com/logo.png"),
    ],
)
def test_the_brands_logo_is_the_only_picture(settings, logo: str, address: str) -> None:
    settings.BRAND_LOGO, settings.BRAND_NAME = logo, "Acme & Sons"

    html = html_of(render("welcome"))

    assert re.findall(r'src="([^"]*)"', html) == [address]
    assert 'alt="Acme &amp; Sons"' in html


def test_the_brands_name_heads_and_signs_a_mail(settings) -> None:
    settings.BRAND_NAME = "Acme"

    mail = render("welcome")

    assert "Sent by Acme, http://localhost:8000." in mail.body
    assert words(html_of(mail)).startswith("Acme Welcome Hello Kim Lee,")


@pytest.mark.parametrize("color", ["#2347c5", "#ffe600", "#000000", "#ffffff", "#808080"])
def test_a_button_can_be_read_in_light_and_dark(settings, color: str) -> None:
    settings.BRAND_COLOUR = color

    html = html_of(render("welcome"))

    for button in (mail_brand().light, mail_brand().dark):
        assert contrast(button.fill, button.ink) >= 4.5
        assert button.fill in html
    assert '<meta name="color-scheme" content="light dark">' in html


def test_a_button_has_room_in_outlook_too(settings) -> None:
    """It ignores the room around a link, and takes a colour from an attribute."""
    cell = re.search(
        r'<td class="button" bgcolor="(#\w+)" style="([^"]*)"><a href="([^"]*)"', html_of(render("welcome"))
    )

    assert cell
    assert cell[1] == mail_brand().light.fill
    assert "mso-padding-alt:12px 24px" in cell[2]
    assert cell[3] == "http://localhost:8000/verify?token=t0ken"


def test_whoever_queues_a_mail_says_in_which_language() -> None:
    """Alerts go to an address of the settings, which has none."""
    calls = [
        (path.relative_to(settings.BASE_DIR).as_posix(), call)
        for path in settings.BASE_DIR.glob("saas/**/*.py")
        if "tests" not in path.parts
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "queue_mail"
    ]

    silent = {path for path, call in calls if "locale" not in {keyword.arg for keyword in call.keywords}}
    assert silent == {"saas/webhook_events/monitoring/alerts.py"}
    assert len(calls) > 15
