"""The pages behind mailed links, in Chromium, on the running system."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from saas.testing.servers.stack import Stack, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Locator, LocatorAssertions, Page

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"
NEW = "an entirely new phrase"


def expect(locator: Locator) -> LocatorAssertions:
    """Playwright's, imported late: the ordinary run collects this file, too, and need not have it."""
    from playwright.sync_api import expect

    return expect(locator)


@pytest.fixture(autouse=True)
def _nothing_is_blocked(page: Page) -> Iterator[None]:
    """Fail if a page tries what our own Content-Security-Policy forbids."""
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(f"Refused: {error}"))
    yield
    assert [text for text in messages if "Refused" in text or "Content Security Policy" in text] == []


@pytest.fixture
def register(shared_stack: Stack, request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """A function that registers a customer, and returns the API's answer."""

    def register_customer(name: str) -> dict[str, Any]:
        body = {"email": f"{name}.{request.node.name[:20]}@example.net", "password": PASSWORD, "full_name": "Kim"}
        answer = shared_stack.post("product", "/api/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return register_customer


def mailed_link(stack: Stack, person: str, subject: str) -> str:
    """The link in the newest mail to ``person``, from the worker's console."""
    mail = re.compile(rf"── Mail to {re.escape(person)}: {subject} ──(.*?)─{{9}}", re.DOTALL)
    eventually(lambda: any("token=" in found for found in mail.findall(stack.text)))
    return re.findall(r"http\S+token=\S+", mail.findall(stack.text)[-1])[-1]


def log_in(stack: Stack, person: str, password: str = PASSWORD) -> int:
    return stack.post("product", "/api/auth/login", json={"email": person, "password": password}).status_code


def bearer(login: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {login['access_token']}"}


def test_an_address_is_confirmed_by_a_button_and_the_link_is_then_over(shared_stack, page: Page, register) -> None:
    login = register("kim")
    link = mailed_link(shared_stack, login["user"]["email"], "Welcome")

    page.goto(link)
    page.get_by_role("button", name="Yes, this is my account").click()
    expect(page.get_by_role("heading")).to_have_text("Your address is confirmed")
    page.goto(link)

    expect(page.get_by_role("alert")).to_contain_text("not valid")
    expect(page.get_by_role("button")).to_have_count(0)
    me = shared_stack.get("product", "/api/auth/me", headers=bearer(login)).json()
    assert me["user"]["is_verified"] is True


def test_who_did_not_register_has_the_account_removed_by_the_other_button(shared_stack, page: Page, register) -> None:
    email = register("kim")["user"]["email"]

    page.goto(mailed_link(shared_stack, email, "Welcome"))
    expect(page.get_by_role("main")).to_contain_text(f"An account was registered with {email} under the name Kim")
    page.get_by_role("button", name="This was not me: remove the account").click()

    expect(page.get_by_role("heading")).to_have_text("The account is removed")
    assert log_in(shared_stack, email, PASSWORD) == 401


def test_an_invited_newcomer_makes_an_account_and_is_in_the_team(shared_stack, page: Page, register) -> None:
    owner, address = bearer(register("owner")), "newcomer.by.invitation@example.net"
    team = shared_stack.post("product", "/api/teams", json={"name": "Engineering"}, headers=owner).json()["team"]["id"]
    path = f"/api/teams/{team}/invitations"
    assert shared_stack.post("product", path, json={"email": address}, headers=owner).status_code == 201

    page.goto(mailed_link(shared_stack, address, "You are invited to a team"))
    page.get_by_label("Your name").fill("Nell")
    page.get_by_label("Password").fill(NEW)
    page.get_by_role("button", name="Create the account and join").click()

    expect(page.get_by_role("status")).to_have_text("You are in the team now.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Members")
    members = shared_stack.get("product", f"/api/teams/{team}/members", headers=owner).json()["members"]
    assert [member["email"] for member in members if member["full_name"] == "Nell"] == [address]


def test_a_forgotten_password_is_asked_for_mailed_and_set(shared_stack, page: Page, register) -> None:
    email = register("kim")["user"]["email"]

    page.goto(f"{shared_stack.urls['product']}/forgot")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_contain_text("a link is on its way")

    page.goto(mailed_link(shared_stack, email, "Set a new password"))
    page.get_by_label("New password").fill("password1234")
    page.get_by_role("button").click()
    expect(page.locator(".error")).to_contain_text("too common")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button").click()
    expect(page.get_by_role("heading")).to_have_text("Your new password is set")

    assert (log_in(shared_stack, email), log_in(shared_stack, email, NEW)) == (401, 200)


def test_a_deletion_is_undone(shared_stack, page: Page, register) -> None:
    login = register("kim")
    email, me = login["user"]["email"], "/api/users/me"
    deleted = shared_stack.request("DELETE", "product", me, headers=bearer(login))
    assert (deleted.status_code, log_in(shared_stack, email)) == (202, 401)

    page.goto(mailed_link(shared_stack, email, "Your account will be deleted"))
    page.get_by_role("button", name="Yes, keep my account").click()

    expect(page.get_by_role("heading")).to_have_text("Your account stays")
    assert log_in(shared_stack, email) == 200
