"""From registering to a subscription and to its end, in a real browser, on the running system."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from saas.testing.servers.stack import Stack, eventually, running_stack

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
WIDTHS = (1280, 400)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One whose checkout is a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BILLING_LOCAL_CHECKOUT", "hosted")
        patch.setenv("BILLING_LOCAL_TAX_PERCENT", "19")
        with running_stack(tmp_path_factory.mktemp("paying")) as started:
            yield started


class Buyer:
    """A customer who registers and calls the API; the browser is separate."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        body = {"email": f"{name}@example.org", "password": "correct horse battery staple", "full_name": "Kim Buyer"}
        token = stack.post("product", "/api/auth/register", json=body).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def post(self, path: str, body: Any = None) -> Any:
        return self.stack.post("product", path, json=body or {}, headers=self.headers).json()

    def checkout(self, plan: str, **terms: Any) -> str:
        body = {"plan_id": plan, **terms}
        return str(self.post("/api/subscriptions/checkout", body)["checkout"]["checkout_url"])

    def invoices(self) -> Any:
        return self.stack.get("product", "/api/billing/invoices", headers=self.headers).json()["invoices"]

    def portal(self) -> str:
        return str(self.post("/api/billing/portal")["url"])

    def subscription(self) -> tuple[str, str] | None:
        answer = self.stack.get("product", "/api/subscriptions/current", headers=self.headers).json()
        row = answer["subscription"]
        return (row["status"], row["plan"]["id"]) if row else None


def statuses(stack: Stack, event_type: str) -> list[str]:
    """What became of the events of a type."""
    events = stack.get("webhooks", f"/api/webhooks/logs?type={event_type}").json()["items"]
    return [event["status"] for event in events]


def shoot(page: "Page", folder: Path, name: str) -> None:
    """A picture in each width, in which nothing sticks out at the side."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)


def test_a_customer_registers_pays_and_the_subscription_lapses(stack: Stack, page: "Page", tmp_path: Path) -> None:
    customer = Buyer(stack, "kim")
    page.goto(customer.checkout("growth"))
    shoot(page, tmp_path, "checkout")

    page.get_by_label("A card that is declined").check()
    page.get_by_role("button", name="Pay 94.01 USD").click()
    assert page.get_by_role("alert").inner_text() == "The card was declined."
    shoot(page, tmp_path, "declined")
    assert customer.subscription() is None

    page.get_by_label("A card that pays now and fails at the renewal").check()
    page.get_by_role("button", name="Pay 94.01 USD").click()
    assert page.get_by_role("heading").inner_text() == "Paid"
    assert "/billing/success" in str(page.get_by_role("link", name="Continue").get_attribute("href"))
    shoot(page, tmp_path, "paid")
    page.wait_for_url("**/billing/success?*")  # the page redirects
    eventually(lambda: customer.subscription() == ("active", "growth"))
    # The page has asked the provider by then; the event itself comes when it comes.
    eventually(lambda: statuses(stack, "customer.subscription.created") == ["processed"])
    page.reload()
    assert "Your subscription to Growth is active." in page.inner_text("main")
    shoot(page, tmp_path, "success")

    done = stack.manage("billing_clock", "advance", "32d")
    assert "take effect in this process" not in done.stdout, done.stdout + done.stderr
    eventually(lambda: customer.subscription() == ("past_due", "growth"))
    page.goto(customer.portal())
    shoot(page, tmp_path, "past-due")
    stack.manage("billing_clock", "advance", "15d")
    eventually(lambda: customer.subscription() is None)


def test_a_subscriber_changes_plan_and_card_and_cancels_in_the_portal(
    stack: Stack, page: "Page", tmp_path: Path
) -> None:
    ada = Buyer(stack, "ada")
    page.goto(ada.checkout("starter"))
    page.get_by_role("button", name="Pay 22.61 USD").click()
    eventually(lambda: ada.subscription() == ("active", "starter"))
    page.goto(ada.portal())
    shoot(page, tmp_path, "portal")

    page.get_by_text("Change the plan").click()
    page.get_by_role("radio", name="Growth 79 USD a month").check()
    shoot(page, tmp_path, "portal-plans")
    with page.expect_navigation():
        page.get_by_role("button", name="Show what it costs").click()
    shoot(page, tmp_path, "portal-change")
    with page.expect_navigation():
        page.get_by_role("button", name="Change the plan").click()
    eventually(lambda: ada.subscription() == ("active", "growth"))

    page.get_by_text("Add a card").click()
    page.get_by_label("A card without sufficient funds").check()
    page.get_by_role("button", name="Add it").click()
    assert "insufficient funds" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("Cancel the subscription").click()
    page.get_by_label("Why do you leave?").fill("Moving on")
    page.get_by_role("button", name="Cancel with the period").click()
    assert page.get_by_role("button", name="Keep the subscription").is_visible()
    shoot(page, tmp_path, "portal-ending")
    page.get_by_role("link", name="Back").click()
    assert (
        page.get_by_role("heading", level=1).inner_text() == "Log in to SaaS"
    )  # the API has the session, not this browser
    assert "next=%2Fbilling%3Ffrom%3Dportal" in page.url


SOLD_BY_THE_YEAR = """
[[plans.scale.prices]]
currency = "usd"
interval = "year"
amount = 90
per_unit = true
"""
MAKE_CODE = """
from decimal import Decimal
from saas.billing.catalogue.promotions import create_promotion_code
create_promotion_code("SPRING", by="system", duration="once", percent_off=Decimal(20))
"""


def test_a_year_for_five_seats_is_bought_with_a_code_and_tax(stack: Stack, page: "Page", tmp_path: Path) -> None:
    catalogue = tmp_path / "plans.toml"
    catalogue.write_text(SOLD_BY_THE_YEAR)
    stack.manage("plans", "import", str(catalogue))
    stack.manage("shell", "-c", MAKE_CODE)
    lee = Buyer(stack, "lee")
    page.goto(lee.checkout("scale", interval="year", quantity=5))
    assert "90 USD a year and seat" in page.inner_text("main")

    page.get_by_label("Promotion code").fill("nothing")
    page.get_by_role("button", name="Apply it").click()
    assert page.get_by_role("alert").inner_text() == "This code is not known, or has expired."
    page.get_by_label("Promotion code").fill("spring")
    page.get_by_role("button", name="Apply it").click()
    sums = [line.split("\n") for line in page.locator(".sum li").all_inner_texts()][-4:]
    assert sums == [
        ["Seats", "5"],
        ["Code SPRING", "− 90 USD"],
        ["Tax, 19 %", "68.40 USD"],
        ["Due today", "428.40 USD"],
    ]
    shoot(page, tmp_path, "checkout-year")
    page.get_by_label("3-D Secure").check()
    page.get_by_role("button", name="Pay 428.40 USD").click()
    shoot(page, tmp_path, "confirm")
    page.get_by_role("button", name="Confirm the payment").click()

    eventually(lambda: lee.subscription() == ("active", "scale"))
    eventually(lambda: [invoice["amount_paid_cents"] for invoice in lee.invoices()] == [42_840])
    page.goto(lee.invoices()[0]["url"])
    shoot(page, tmp_path, "invoice-year")
    page.goto(lee.portal())
    assert "90 USD a year for each of 5 seats" in page.inner_text("main")
    page.get_by_text("Change the plan").click()
    shoot(page, tmp_path, "portal-year")
