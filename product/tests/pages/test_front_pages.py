"""What all front pages have in common."""

import re

import pytest
from django.test import Client

from product.pages.billing.urls import urlpatterns as billing_urls
from product.pages.next_pages import safe_next
from product.pages.urls import urlpatterns
from saas.testing.clients import ServiceClient

PATHS = ["/" + re.sub(r"<[^>]+>", "x", str(page.pattern)) for page in (*urlpatterns, *billing_urls)]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", PATHS)
def test_without_front_pages_there_is_none(product: ServiceClient, settings, path: str, method: str) -> None:
    settings.FRONT_PAGES = False
    product.get("/api/auth/csrf")

    answer = product.get(path) if method == "GET" else product.submit_form(path, {})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_without_front_pages_no_page_leads_to_one(product: ServiceClient, settings) -> None:
    settings.FRONT_PAGES = False

    page = product.get("/billing/cancel").content.decode()

    assert set(re.findall(r'<a [^>]*href="([^"]+)"', page)) == {"#main", "/"}


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/account\r\nSet-Cookie: a=b",
        "account",
        "/account//evil",
        "",
        "/" + "a" * 500,
    ],
)
def test_nobody_is_led_to_another_site(wanted: str) -> None:
    assert safe_next(wanted, "/account") == "/account"


@pytest.mark.parametrize("wanted", ["/account", "/teams/team_1/billing?plan=growth&interval=year", "/"])
def test_one_is_led_back_to_a_page_of_ours(wanted: str) -> None:
    assert safe_next(wanted) == wanted


@pytest.mark.parametrize("path", ["/verify", "/keep", "/reset"])
@pytest.mark.parametrize("sent", [{}, {"token": ""}, {"token": "x" * 600}], ids=["none", "empty", "long"])
def test_a_link_whose_token_cannot_be_read_is_not_valid(db, product, path: str, sent: dict[str, str]) -> None:
    product.get("/login")

    answer = product.submit_form(path, {"new_password": "a good new phrase", **sent})

    assert answer.status_code == 400
    assert "This link is not valid, or not any more. Ask for a new one." in answer.content.decode()


def test_every_page_is_there_by_default(db, settings) -> None:
    assert settings.FRONT_PAGES is True
    statuses = {path: Client().get(path).status_code for path in PATHS}

    assert {path: status for path, status in statuses.items() if status >= 500} == {}
