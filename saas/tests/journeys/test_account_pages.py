"""A founder's first customer: from the plans to an account of their own and out of it, by clicking only, in Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyotp
import pytest

from saas.testing.browser import accessibility_faults
from saas.testing.servers.stack import Stack, eventually
from saas.tests.journeys.conftest import NARROW, WIDE, NewPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"
NEW = "an entirely new phrase"
MOST_BYTES = 60_000
# Of the page and all it loads, also what came from the browser's cache.
BYTES = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""


def press(page: Page, button: str) -> None:
    page.get_by_role("main").get_by_role("button", name=button, exact=True).click()


def register(stack: Stack, page: Page, email: str) -> None:
    page.goto(stack.urls["product"])
    page.get_by_role("main").get_by_role("link", name="Start free").click()
    page.get_by_label("Your name").fill("Kim Lee")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Create the account")
    page.wait_for_url("**/billing")


def mailed_link(stack: Stack, person: str, subject: str) -> str:
    mail = re.compile(rf"── Mail to {re.escape(person)}: {subject} ──(.*?)─{{9}}", re.DOTALL)
    eventually(lambda: any("token=" in found for found in mail.findall(stack.text)))
    return str(re.findall(r"http\S+token=\S+", mail.findall(stack.text)[-1])[-1])


def set_up_second_factor(stack: Stack, page: Page) -> tuple[str, list[str]]:
    """Return the secret and the recovery codes."""
    page.goto(f"{stack.urls['product']}/account/second-factor")
    press(page, "Set it up")
    secret = str(page.locator("#secret").text_content()).strip()
    code = pyotp.TOTP(secret).now()
    page.get_by_label("Code that the app shows").fill(f"{code[:3]} {code[3:]}")
    press(page, "Turn it on")
    return secret, page.locator("#codes li").all_inner_texts()


@pytest.mark.parametrize(("width", "theme"), [(WIDE, "light"), (NARROW, "dark")])
@pytest.mark.parametrize("has_scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_customer_registers_secures_and_leaves_an_account(
    shared_stack: Stack, new_page: NewPage, width: int, theme: str, has_scripts: bool
) -> None:
    base, email = shared_stack.urls["product"], f"kim{width}{has_scripts}@example.net".lower()
    page = new_page(width=width, theme=theme, has_scripts=has_scripts)
    register(shared_stack, page, email)
    page.goto(mailed_link(shared_stack, email, "Welcome"))
    press(page, "Yes, this is my account")
    assert page.get_by_role("heading", level=1).inner_text() == "Your address is confirmed"

    page.goto(f"{base}/account")
    page.get_by_label("Name").fill("Kim Changed")
    press(page, "Save")
    assert page.get_by_role("status").inner_text() == "Your profile is saved."

    secret, codes = set_up_second_factor(shared_stack, page)
    assert (len(secret), len(codes)) == (32, 10)
    assert page.get_by_role("button", name="Copy").count() == (1 if has_scripts else 0)

    page.goto(f"{base}/account")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{base}/account/devices")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Log in")
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[0])
    press(page, "Go on")
    assert page.url == f"{base}/account/devices"

    page.goto(f"{base}/account/data")
    page.get_by_role("main").get_by_role("link", name="Delete my account").click()
    press(page, "Delete my account")
    assert page.get_by_role("heading", level=1).inner_text() == "Your account is closed"
    page.goto(mailed_link(shared_stack, email, "Your account will be deleted"))
    press(page, "Yes, keep my account")
    assert page.get_by_role("heading", level=1).inner_text() == "Your account stays"


def test_an_account_is_made_by_the_keyboard_alone(shared_stack: Stack, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{shared_stack.urls['product']}/register")

    def reach(name: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()") == name:
                return
        raise AssertionError(name)

    for field, text in (("full_name", "Kay Board"), ("email", "kay@example.net"), ("password", "short")):
        reach(field)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.get_by_text("Use at least 12 characters.").wait_for()
    assert page.evaluate("document.activeElement.name") == "password"
    page.keyboard.type(NEW)
    page.keyboard.press("Enter")
    page.wait_for_url("**/billing")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reach("KBKay")
    page.keyboard.press("Enter")
    reach("Security")
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/security")


def test_no_page_has_a_fault_of_accessibility_or_is_too_large(shared_stack: Stack, new_page: NewPage) -> None:
    base, page, visitor = shared_stack.urls["product"], new_page(), new_page()
    register(shared_stack, page, "axe@example.net")
    visited = ["/", "/login", "/register", "/forgot", "/logout", "/verify?token=x", "/reset?token=x", "/keep?token=x",
               "/nothing", "/billing/cancel", "/dev/mail"]  # fmt: skip
    own = ["/", "/account", "/account/email", "/account/security", "/account/password", "/account/second-factor",
           "/account/devices", "/account/support-visits", "/account/data", "/account/delete", "/billing"]  # fmt: skip
    faults: set[tuple[str, str]] = set()
    for browser, paths in ((visitor, visited), (page, own)):
        for theme in ("light", "dark"):
            browser.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            for width in (WIDE, NARROW):
                browser.set_viewport_size({"width": width, "height": 900})
                for path in paths:
                    browser.goto(base + path)
                    faults |= {(path, fault) for fault in accessibility_faults(browser)}
                    assert browser.evaluate("document.documentElement.scrollWidth") <= width, path
                    assert browser.evaluate(BYTES) <= MOST_BYTES, path

    assert faults == set()


def test_the_pages_of_the_second_factor_have_no_fault_of_accessibility(shared_stack: Stack, new_page: NewPage) -> None:
    page = new_page()
    register(shared_stack, page, "axe.codes@example.net")
    faults = set()
    page.goto(f"{shared_stack.urls['product']}/account/second-factor")
    press(page, "Set it up")
    faults |= {("setup", fault) for fault in accessibility_faults(page)}
    code = pyotp.TOTP(str(page.locator("#secret").text_content()).strip()).now()
    page.get_by_label("Code that the app shows").fill(code)
    press(page, "Turn it on")
    faults |= {("codes", fault) for fault in accessibility_faults(page)}

    assert faults == set()
