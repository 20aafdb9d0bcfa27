"""The pages behind mailed links: what they say before anything is typed, and what they tell a program that keeps passwords."""

import re
from typing import Any

import pytest

from saas.accounts import one_time_tokens
from saas.accounts.models import OneTimeToken, User
from saas.accounts.privacy.account_deletion import delete_account
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person

Purpose = OneTimeToken.Purpose
OVER = "This link is not valid, or not any more. Ask for a new one."


def text_of(answer: Any) -> str:
    return answer.content.decode()


def form_key(page: str) -> str:
    found = re.search(r'name="form_key" value="([^"]+)"', page)
    assert found
    return found[1]


def password_fields(page: str) -> list[str]:
    return re.findall(r'<input [^>]*type="password"[^>]*>', page)


def username_field(page: str) -> list[str]:
    return re.findall(r'<input [^>]*value="([^"]*)" autocomplete="username" readonly>', page)


@pytest.fixture
def reset_token(customer: Person) -> str:
    return one_time_tokens.issue_one_time_token(customer.user, Purpose.RESET)


@pytest.mark.parametrize("token", ["", "reset_nonsense", "x" * 600], ids=["none", "unknown", "long"])
@pytest.mark.parametrize("path", ["/reset", "/keep"])
def test_that_a_link_is_over_is_said_before_anything_is_typed(product, db, path: str, token: str) -> None:
    answer = product.get(f"{path}?token={token}")

    page = text_of(answer)
    assert (answer.status_code, OVER in page, "<form" in page) == (400, True, False)


def test_a_used_link_asks_for_no_password(product: ServiceClient, reset_token: str) -> None:
    product.get(f"/reset?token={reset_token}")
    product.submit_form("/reset", {"token": reset_token, "new_password": "an entirely new phrase"})

    answer = product.get(f"/reset?token={reset_token}")

    assert (answer.status_code, password_fields(text_of(answer))) == (400, [])


def test_the_link_that_keeps_an_account_still_asks_first(product: ServiceClient, customer: Person) -> None:
    _, token = delete_account(customer.user)

    answer = product.get(f"/keep?token={token}")

    assert (answer.status_code, "Yes, keep my account" in text_of(answer)) == (200, True)
    assert User.objects.get().status == User.Status.DELETED


def test_a_new_password_is_kept_under_the_address_that_it_is_for(
    product: ServiceClient, customer: Person, reset_token: str
) -> None:
    shown = text_of(product.get(f"/reset?token={reset_token}"))
    refused = product.submit_form("/reset", {"token": reset_token, "new_password": "short"})

    assert username_field(shown) == username_field(text_of(refused)) == [customer.user.email]
    assert [" maxlength=" in field for field in password_fields(shown)] == [False]
    assert refused.status_code == 422


def test_changing_and_confirming_a_password_name_the_account(pages: ServiceClient, customer: Person, later) -> None:
    later()

    change = text_of(pages.get("/account/password"))
    confirm = text_of(pages.submit_form("/account/password", {"new_password": "an entirely new phrase"}))

    assert "Confirm that it is you" in confirm
    assert username_field(change) == username_field(confirm) == [customer.user.email]


def test_a_password_that_is_too_long_is_told_and_not_cut_off(pages: ServiceClient, customer: Person) -> None:
    answer = pages.submit_form("/account/password", {"new_password": "long " * 50})

    assert answer.status_code == 422
    assert [" maxlength=" in field for field in password_fields(text_of(answer))] == [False]
    customer.user.refresh_from_db()
    assert customer.user.check_password(PASSWORD)


def test_confirming_by_a_double_click_is_confirming_once(product: ServiceClient, customer: Person) -> None:
    token = one_time_tokens.issue_one_time_token(customer.user, Purpose.VERIFY)
    key = form_key(text_of(product.get(f"/verify?token={token}")))
    sent = {"token": token, "answer": "mine", "form_key": key}

    first, second = (product.submit_form("/verify", sent) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert "Your address is confirmed" in text_of(first)
    assert text_of(second) == text_of(first)
