"""A founder's first customer, by clicking only: from the plans to a yearly subscription, a colleague, and out of it all again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from saas.testing.browser import accessibility_faults
from saas.testing.servers.stack import Stack, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"
WIDE, NARROW = 1440, 390
MOST_BYTES = 60_000
BYTES = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
SHIFT = """new Promise((done) => { let sum = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value; })
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(sum), 50); })"""
NewPage = Callable[..., "Page"]


class Customer:
    """Somebody at a browser. Each page that they stop at is looked at."""

    def __init__(self, stack: Stack, page: Page, *, has_scripts: bool) -> None:
        self.stack, self.base, self.page, self.has_scripts = stack, stack.urls["product"], page, has_scripts

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)

    def press(self, button: str) -> None:
        self.page.get_by_role("main").get_by_role("button", name=button, exact=True).click()

    def follow(self, link: str) -> None:
        self.page.get_by_role("main").get_by_role("link", name=link, exact=True).first.click()

    def read(self) -> str:
        return " ".join(self.page.locator("body").inner_text().split())

    def open_mail(self, person: str, subject: str, link: str) -> None:
        """Follow the link of the newest such mail, which the worker writes to its console."""
        mails = re.compile(rf"── Mail to {re.escape(person)}: {subject}[^─]*──(.*?)─{{9}}", re.DOTALL)
        eventually(lambda: any(link in text for text in mails.findall(self.stack.text)))
        self.page.goto(re.findall(rf"http\S*{re.escape(link)}\S+", mails.findall(self.stack.text)[-1])[-1])

    def look(self, heading: str) -> None:
        """The page is the one that is meant, has no fault of accessibility, fits, is light, and does not move."""
        assert self.page.get_by_role("heading", level=1).inner_text() == heading
        width = self.page.viewport_size["width"]  # type: ignore[index]
        box = self.page.locator("main").bounding_box()
        assert box
        assert box["x"] + box["width"] <= width, heading
        if not self.has_scripts:
            return
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width, heading
        assert self.page.evaluate(BYTES) <= MOST_BYTES, heading
        assert self.page.evaluate(SHIFT) < 0.01, heading
        assert accessibility_faults(self.page) == [], heading


def register(customer: Customer, email: str) -> None:
    """From the landing page with a yearly plan; the address is confirmed from the mailbox."""
    customer.open("/")
    customer.page.get_by_role("link", name="Yearly").click()
    customer.look("Get going with SaaS")
    customer.follow("Start with Growth")
    customer.look("Create your account")
    customer.page.get_by_label("Your name").fill("Fay Founder")
    customer.page.get_by_label("E-mail address").fill(email)
    customer.page.get_by_label("Password").fill(PASSWORD)
    customer.press("Create the account")
    customer.page.wait_for_url("**/billing/checkout?plan=growth&interval=year&currency=usd")
    chosen = customer.page.url.removeprefix(customer.base)
    customer.look("Subscribe to Growth")
    customer.open_mail(email, "Welcome", "/verify?token=")
    customer.press("Yes, this is my account")
    customer.look("Your address is confirmed")
    customer.open(chosen)


def buy(customer: Customer) -> None:
    assert "790 USD a year" in customer.read()
    customer.press("Go to the payment")
    customer.page.wait_for_url("**/checkout/cs_local_*")
    customer.look("Subscribe to Growth")
    customer.press("Pay 790 USD")
    customer.follow("Continue")
    customer.look("Thank you")
    customer.follow("See your subscription")
    eventually(lambda: "790 USD a year" in customer.read() or customer.page.reload())
    customer.look("Billing")
    assert "Next invoice 790 USD on" in customer.read()


def invite(customer: Customer, colleague: Customer, email: str) -> str:
    """Return the address of the team that the colleague has joined."""
    customer.open("/teams")
    customer.page.get_by_label("Name of the team").fill("Engineering")
    customer.press("Create the team")
    customer.page.get_by_label("E-mail addresses").fill(email)
    customer.press("Send the invitations")
    customer.look("Invitations")
    colleague.open_mail(email, "You are invited to a team", "/invitations/accept?token=")
    colleague.look("Join Engineering")
    colleague.page.get_by_label("Your name").fill("Cal Colleague")
    colleague.page.get_by_label("Password").fill(PASSWORD)
    colleague.press("Create the account and join")
    colleague.look("Members")
    return colleague.page.url.removeprefix(colleague.base)


def change_plan(customer: Customer) -> None:
    customer.open("/billing")
    assert "Seats in a team 2 of 25" in customer.read()
    customer.follow("Change the plan")
    customer.look("Change the plan")
    customer.follow("Choose Scale")
    customer.look("Change from Growth to Scale?")
    assert re.search(r"Growth, the time that is not used −7\d\d\.\d\d USD", customer.read())
    customer.press("Change the plan")
    assert "Your subscription is now Scale." in customer.read()


def cancel(customer: Customer) -> None:
    customer.open("/billing")
    customer.follow("Cancel the subscription")
    customer.look("Cancel the subscription?")
    customer.page.get_by_label("Why do you leave?").select_option("price")
    customer.press("Cancel the subscription")
    customer.look("Billing")
    assert "Until then everything stays as it is." in customer.read()


def delete_account(customer: Customer, team: str) -> None:
    customer.open(f"{team}/transfer")
    customer.page.get_by_label("New owner").select_option(label="Cal Colleague")
    customer.press("Hand the team over")
    customer.open("/account/data")
    customer.follow("Delete my account")
    customer.press("Delete my account")
    customer.look("Your account is closed")


@pytest.mark.parametrize(
    ("width", "theme", "has_scripts"),
    [(WIDE, "light", True), (NARROW, "dark", True), (WIDE, "dark", False), (NARROW, "light", False)],
    ids=["wide light", "narrow dark", "wide dark without scripts", "narrow light without scripts"],
)
def test_the_first_customer_pays_works_and_leaves(
    shared_stack: Stack, new_page: NewPage, width: int, theme: str, has_scripts: bool
) -> None:
    mark = f"{width}{theme}{has_scripts}".lower()
    new = {"width": width, "theme": theme, "has_scripts": has_scripts}
    customer, colleague = (Customer(shared_stack, new_page(**new), has_scripts=has_scripts) for _ in range(2))

    register(customer, f"first.{mark}@example.net")
    buy(customer)
    team = invite(customer, colleague, f"second.{mark}@example.org")
    change_plan(customer)
    cancel(customer)
    customer.press("Keep the subscription")
    assert "Your subscription goes on." in customer.read()
    cancel(customer)
    delete_account(customer, team)

    customer.open("/billing")
    assert customer.page.url.startswith(f"{customer.base}/login")


def test_a_subscription_is_bought_changed_and_canceled_by_the_keyboard_alone(
    shared_stack: Stack, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(f"{shared_stack.urls['product']}/?interval=year")

    def activate(name: str, key: str = "Enter") -> None:
        """Go forward to what is called so, see that the focus is shown there, and press."""
        for _ in range(60):
            page.keyboard.press("Tab")
            element = "document.activeElement"
            text = page.evaluate(f"{element}.ariaLabel || {element}.value || {element}.textContent.trim()")
            if text == name:
                assert page.evaluate(f"getComputedStyle({element}).outlineStyle") == "solid", name
                return page.keyboard.press(key)
        raise AssertionError(name)

    activate("Start with Growth")
    page.wait_for_url("**/register?next=**")
    page.get_by_label("E-mail address").focus()
    page.keyboard.type("keys.only@example.net")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/billing/checkout?plan=growth**")
    activate("Go to the payment")
    page.wait_for_url("**/checkout/cs_local_*")
    activate("pay")
    page.wait_for_url("**/billing/success?**")
    activate("See your subscription")
    page.wait_for_url("**/billing")
    activate("Change the plan")
    page.wait_for_url("**/billing/plans")
    activate("Choose Scale")
    page.wait_for_url("**/billing/change?**")
    activate("Change the plan")
    page.get_by_text("Your subscription is now Scale.").wait_for()
    activate("Cancel the subscription")
    page.wait_for_url("**/billing/end")
    activate("Cancel the subscription")
    page.get_by_text("Until then everything stays as it is.").wait_for()
    activate("Keep the subscription")
    page.get_by_text("Your subscription goes on.").wait_for()
