"""Whose language a page, a mail and the API speak."""

import pytest

from saas.accounts.models import User
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD
from saas.testing.mails import deliver_queued_mails


@pytest.mark.parametrize(
    ("header", "locale", "subject"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de", "Willkommen"),
        ("en-GB,de;q=0.5", "en", "Welcome"),
        ("fr", "en", "Welcome"),
        ("fr,de;q=0.5", "de", "Willkommen"),
        ("", "en", "Welcome"),
        ("*;;;", "en", "Welcome"),
    ],
)
def test_an_account_begins_in_the_language_of_its_browser(
    product: ServiceClient, db, header: str, locale: str, subject: str
) -> None:
    body = {"email": "kim@example.net", "password": PASSWORD, "full_name": "Kim"}

    answer = product.post("/api/auth/register", body, headers={"Accept-Language": header} if header else {})

    assert answer.json()["user"]["locale"] == User.objects.get().locale == locale
    (mail,) = deliver_queued_mails("welcome")
    assert mail.subject == subject


def test_the_api_answers_in_english(product: ServiceClient, db) -> None:
    german = {"Accept-Language": "de"}

    refused = product.post("/api/auth/login", {"email": "kim@example.net", "password": "x"}, headers=german)
    invalid = product.post("/api/auth/login", {}, headers=german)

    assert refused.json()["title"] == "Invalid credentials"
    assert invalid.json()["errors"]["email"] == ["This field is required."]


def test_a_page_shows_a_refusal_in_the_readers_language(product: ServiceClient, db) -> None:
    answer = product.get("/verify?token=verify_x", headers={"Accept-Language": "de", "Accept": "text/html"})

    assert "Dieser Link gilt nicht oder nicht mehr. Fordern Sie einen neuen an." in answer.content.decode()
    assert '<html lang="de">' in answer.content.decode()
    assert answer.headers["Content-Language"] == "de"
