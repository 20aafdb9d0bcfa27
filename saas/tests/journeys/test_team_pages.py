"""A founder makes a team and a colleague joins it, by clicking only, in Chromium on the running system."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from saas.testing.browser import accessibility_faults
from saas.testing.servers.stack import Stack, eventually
from saas.tests.journeys.conftest import NARROW, WIDE, NewPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"


def mailed_link(stack: Stack, person: str, subject: str) -> str:
    mail = re.compile(rf"── Mail to {re.escape(person)}: {subject} ──(.*?)─{{9}}", re.DOTALL)
    eventually(lambda: any("token=" in found for found in mail.findall(stack.text)))
    return str(re.findall(r"http\S+token=\S+", mail.findall(stack.text)[-1])[-1])


def register(stack: Stack, page: Page, email: str) -> None:
    """Register by the page, and confirm the address."""
    page.goto(f"{stack.urls['product']}/register")
    page.get_by_label("Your name").fill("Fay Founder")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button").first.click()
    page.goto(mailed_link(stack, email, "Welcome"))
    page.get_by_role("button", name="Yes, this is my account").click()


def create_team(stack: Stack, page: Page) -> str:
    """Return the address of the new team's members."""
    page.goto(f"{stack.urls['product']}/teams")
    page.get_by_label("Name of the team").fill("Engineering")
    page.get_by_role("button", name="Create the team").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Invitations"
    return page.url.removesuffix("/invitations")


def fits(page: Page) -> None:
    """Nothing sticks out at the side."""
    width = page.viewport_size["width"]  # type: ignore[index]
    box = page.locator("main").bounding_box()
    assert box
    assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("has_scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_team_is_made_and_a_colleague_joins_in_one_step(
    shared_stack: Stack, new_page: NewPage, width: int, has_scripts: bool
) -> None:
    mark = f"{width}{has_scripts}".lower()
    owner, colleague = f"fay{mark}@example.net", f"cal{mark}@example.org"
    page = new_page(width=width, has_scripts=has_scripts)
    register(shared_stack, page, owner)
    team = create_team(shared_stack, page)

    page.get_by_label("E-mail addresses").fill(f"{colleague}\n{owner}")
    page.get_by_role("button", name="Send the invitations").click()
    assert "This person is in the team already." in page.get_by_role("alert").inner_text()
    assert "1 invitation is on its way." in page.get_by_role("status").inner_text()
    fits(page)

    guest = new_page(width=width, has_scripts=has_scripts)
    guest.goto(mailed_link(shared_stack, colleague, "You are invited to a team"))
    fits(guest)
    guest.get_by_label("Your name").fill("Cal Colleague")
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_role("button", name="Create the account and join").click()
    assert guest.url == team
    assert "You are in the team now." in guest.get_by_role("status").inner_text()
    assert guest.get_by_role("link", name="Invite people").count() == 0

    page.goto(team)
    page.get_by_role("link", name="Change Cal Colleague").click()
    page.get_by_label("Role").select_option("admin")
    page.get_by_role("button", name="Save the role").click()
    assert "Cal Colleague is now: Admin." in page.get_by_role("status").inner_text()

    page.goto(f"{team}/api-keys/new")
    page.get_by_label("Name").fill("Nightly export")
    page.get_by_role("button", name="Create the key").click()
    assert re.fullmatch(r"saas_\w{46}", page.locator("#key").inner_text())
    assert page.get_by_role("button", name="Copy").count() == (1 if has_scripts else 0)
    fits(page)


def test_a_colleague_with_an_account_logs_in_and_is_back_at_the_invitation(
    shared_stack: Stack, new_page: NewPage
) -> None:
    owner, colleague = "fay.back@example.net", "cal.back@example.org"
    register(shared_stack, new_page(), colleague)
    page = new_page()
    register(shared_stack, page, owner)
    team = create_team(shared_stack, page)
    page.get_by_label("E-mail addresses").fill(colleague)
    page.get_by_role("button", name="Send the invitations").click()

    page.goto(mailed_link(shared_stack, colleague, "You are invited to a team"))
    page.get_by_role("button", name=f"Log out and go on as {colleague}").click()
    page.get_by_role("link", name="Log in to join").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Join the team").click()

    assert page.url == team


def test_a_link_of_an_earlier_mail_still_leads_to_its_invitation(shared_stack: Stack, new_page: NewPage) -> None:
    page = new_page()
    register(shared_stack, page, "fay.old@example.net")
    create_team(shared_stack, page)
    page.get_by_label("E-mail addresses").fill("cal.old@example.org")
    page.get_by_role("button", name="Send the invitations").click()

    guest = new_page()
    guest.goto(mailed_link(shared_stack, "cal.old@example.org", "You are invited to a team").replace("?", "#"))

    guest.get_by_role("heading", name="Join Engineering").wait_for()


def test_no_team_page_has_a_fault_of_accessibility(shared_stack: Stack, new_page: NewPage) -> None:
    page = new_page()
    register(shared_stack, page, "fay.axe@example.net")
    team = create_team(shared_stack, page)
    page.get_by_label("E-mail addresses").fill("cal.axe@example.org nobody")
    page.get_by_role("button", name="Send the invitations").click()
    faults = {("refused addresses", fault) for fault in accessibility_faults(page)}
    invitation = mailed_link(shared_stack, "cal.axe@example.org", "You are invited to a team")
    paths = ["", "/invitations", "/api-keys", "/api-keys/new", "/settings", "/leave", "/transfer", "/delete"]
    urls = [f"{shared_stack.urls['product']}/teams", *(team + path for path in paths), invitation]

    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for width in (WIDE, NARROW):
            page.set_viewport_size({"width": width, "height": 900})
            for url in urls:
                page.goto(url)
                faults |= {(url, fault) for fault in accessibility_faults(page)}
                assert page.evaluate("document.documentElement.scrollWidth") <= width, url

    assert faults == set()
