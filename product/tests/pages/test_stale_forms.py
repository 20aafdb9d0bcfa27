"""Forms that were open while their visitor logged in in another tab, which gives the browser another CSRF token."""

from typing import Any
from urllib.parse import urlencode

import pytest

from saas.accounts.models import LoginSession
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person

OF_BEFORE = "a" * 64
TOO_OLD = "This page was older than your login, so nothing was sent. Try again."


def send_what_was_open(client: ServiceClient, path: str, **fields: str) -> Any:
    body = urlencode({"csrfmiddlewaretoken": OF_BEFORE, **fields}).encode()
    kind = "application/x-www-form-urlencoded"
    return client.post(path, raw=body, content_type=kind, headers={"Accept": "text/html"})


@pytest.mark.parametrize("path", ["/login", "/register"])
def test_a_second_login_tab_goes_on_where_it_wanted_to(pages: ServiceClient, customer: Person, path: str) -> None:
    answer = send_what_was_open(pages, f"{path}?next=%2Fteams", email=customer.user.email, password=PASSWORD)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"{path}?next=%2Fteams")
    assert pages.get(answer.headers["Location"]).headers["Location"] == "/teams"
    assert TOO_OLD not in pages.get("/teams").content.decode()


def test_a_form_of_before_the_login_is_shown_again_and_does_nothing(pages: ServiceClient, customer: Person) -> None:
    answer = send_what_was_open(pages, "/account", full_name="Somebody Else")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")
    assert TOO_OLD in pages.get("/account").content.decode()
    name = customer.user.full_name
    customer.user.refresh_from_db()
    assert customer.user.full_name == name


def test_logging_out_in_an_old_tab_asks_once_more(pages: ServiceClient, customer: Person) -> None:
    answer = send_what_was_open(pages, "/logout")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/logout")
    assert LoginSession.objects.live().filter(user=customer.user).count() == 2  # the fixture's token, and this cookie
    assert pages.submit_form("/logout", {}).headers["Location"] == "/"


def test_who_is_not_logged_in_is_refused(product: ServiceClient, customer: Person) -> None:
    product.get("/login")

    answer = send_what_was_open(product, "/login", email=customer.user.email, password=PASSWORD)

    assert (answer.status_code, "This form is no longer valid" in answer.content.decode()) == (403, True)
    assert "saas_session" not in product.cookies


def test_a_form_of_another_page_is_refused_and_not_shown_again(pages: ServiceClient) -> None:
    """Behind TLS that the service is not told of, a redirect would lead round in circles."""
    pages.cookies.pop("product_csrf")

    assert send_what_was_open(pages, "/account", full_name="Somebody Else").status_code == 403


def test_a_program_reads_the_refusal(pages: ServiceClient) -> None:
    headers = {"Accept": "text/html, */*;q=0.8", "X-CSRFToken": OF_BEFORE}

    answer = pages.post("/api/teams", {"name": "By cookie"}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
