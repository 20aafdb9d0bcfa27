"""Support's daily tasks, in a real browser on the running system."""

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from saas.testing.factories.user_factories import PASSWORD
from saas.testing.servers.stack import Stack, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Make storing a subscription fail, as by a bug or an unknown plan.
BREAK = """
from django.db import connection
cursor = connection.cursor()
if connection.vendor == "postgresql":
    cursor.execute("CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$")
    cursor.execute("CREATE TRIGGER broken BEFORE INSERT ON billing_subscription FOR EACH ROW EXECUTE FUNCTION broken()")
else:
    cursor.execute("CREATE TRIGGER broken BEFORE INSERT ON billing_subscription BEGIN SELECT RAISE(ABORT, 'broken'); END")
"""
MEND = """
from django.db import connection
from saas.webhook_events.models import WebhookEvent
cursor = connection.cursor()
if connection.vendor == "postgresql":
    cursor.execute("DROP TRIGGER broken ON billing_subscription")
    cursor.execute("DROP FUNCTION broken")
else:
    cursor.execute("DROP TRIGGER broken")
WebhookEvent.objects.filter(status="retry_scheduled").update(status="failed")
"""
TRIAL = """
from django.utils import timezone
from saas.accounts.models import User
from saas.billing import providers
from saas.billing.customers import ensure_provider_customer, get_or_create_customer
from saas.billing.providers.local import lifecycle
from saas.testing import local_provider
person = User.objects.by_email("{email}")
customer = ensure_provider_customer(
    get_or_create_customer(person, providers.current_gateway()), person, providers.current_gateway()
)
lifecycle.start_subscription(customer.external_id, "price_local_growth_7900", timezone.now(), trial_days=7)
local_provider.deliver_events()
"""


class AdminPages:
    """The admin pages in a browser, as support uses them."""

    def __init__(self, page: "Page", stack: Stack) -> None:
        self.page, self.home = page, stack.urls["admin_ops"] + "/admin/"

    def log_in(self, email: str) -> None:
        self.page.goto(self.home)
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Dashboard").wait_for()

    def find(self, email: str) -> None:
        self.page.get_by_role("link", name="Customers and staff").click()
        self.page.get_by_placeholder("E-mail, name, or any id").fill(email)
        self.page.keyboard.press("Enter")
        self.page.get_by_role("link", name=email).click()
        self.page.get_by_role("heading", name="Timeline").wait_for()

    def choose(self, action: str) -> None:
        link = self.page.locator(".ops-actions, .ops-notice").get_by_role("link", name=action, exact=False)
        if not link.first.is_visible():
            self.page.get_by_text("More", exact=False).locator("visible=true").last.click()
        link.first.click()

    def do(self, action: str, **fields: str) -> None:
        self.choose(action)
        for label, value in fields.items():
            self.page.get_by_label(label.replace("_", " ").capitalize()).fill(value)
        self.page.locator("form").get_by_role("button", name=action).click()

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()


@pytest.fixture(scope="module")
def support(shared_stack: Stack) -> str:
    """Create a member of staff; return the e-mail address."""
    email = f"sam.{secrets.token_hex(3)}@example.org"
    done = shared_stack.manage("create_staff", f"--email={email}", "--role=support-write")
    token = done.stdout.strip().rpartition("token=")[2]
    shared_stack.post("product", "/api/auth/password/reset", json={"token": token, "new_password": PASSWORD})
    return email


@pytest.fixture
def admin_pages(page: "Page", shared_stack: Stack, support: str) -> Iterator[AdminPages]:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    opened = AdminPages(page, shared_stack)
    opened.log_in(support)
    yield opened
    assert problems == []  # the content security policy among them


@pytest.fixture
def customer(shared_stack: Stack) -> dict[str, Any]:
    """A customer who has just registered."""
    body = {"email": f"kim.{secrets.token_hex(3)}@example.net", "password": PASSWORD, "full_name": "Kim Example"}
    answer = shared_stack.post("product", "/api/auth/register", json=body)
    return {"email": body["email"], "headers": {"Authorization": f"Bearer {answer.json()['access_token']}"}}


def test_a_customer_who_paid_but_has_no_access_gets_it_by_a_replay(
    admin_pages: AdminPages, customer: dict[str, Any], shared_stack: Stack
) -> None:
    def current() -> Any:
        return shared_stack.get("product", "/api/subscriptions/current", headers=customer["headers"]).json()[
            "subscription"
        ]

    shared_stack.manage("shell", "-c", BREAK)
    shared_stack.post("product", "/api/subscriptions/checkout", json={"plan_id": "growth"}, headers=customer["headers"])
    shared_stack.manage("shell", "-c", MEND)
    assert current() is None

    admin_pages.find(customer["email"])
    admin_pages.sees("They pay for nothing.")
    admin_pages.page.get_by_role("link", name="A subscription began – failed").click()
    admin_pages.sees('"object": "subscription"')
    admin_pages.do("Replay", reason="Paid, but has no access: ticket 4711")
    admin_pages.sees("will run once more")

    def is_processed() -> bool:
        admin_pages.page.reload()
        return admin_pages.page.get_by_text("processed", exact=True).first.is_visible()

    eventually(is_processed)
    admin_pages.page.get_by_role("link", name=customer["email"]).click()
    admin_pages.page.get_by_role("link", name="Growth", exact=True).wait_for()
    assert current()["status"] == "active"
    admin_pages.sees("Webhook event replayed")


def test_an_abuser_is_banned_and_the_next_request_is_refused(
    admin_pages: AdminPages, customer: dict[str, Any], shared_stack: Stack
):
    admin_pages.find(customer["email"])
    admin_pages.do("Ban", reason="Sends spam to invited people")

    admin_pages.sees(f"{customer['email']} is banned.")
    admin_pages.sees("disabled")
    assert shared_stack.get("product", "/api/auth/me", headers=customer["headers"]).status_code == 401


def test_support_impersonates_a_customer_and_stops(
    admin_pages: AdminPages, customer: dict[str, Any], shared_stack: Stack, support: str
):
    admin_pages.find(customer["email"])
    with admin_pages.page.expect_popup() as opened:
        admin_pages.do("See what they see", reason="Cannot find their team")
    pages = opened.value
    pages.wait_for_url("**/account")
    assert f"You see what {customer['email']} sees, reading only" in pages.inner_text("body")
    pages.get_by_role("link", name="Devices", exact=True).click()
    assert "Support" in pages.inner_text("main")
    devices = shared_stack.get("product", "/api/auth/sessions", headers=customer["headers"]).json()["sessions"]
    admin_pages.sees(f"{support} sees what they see until")
    admin_pages.do("Stop")

    admin_pages.sees("It has ended; its token is dead.")
    admin_pages.sees("2 requests in their name")
    assert "Support" in [device["agent"] for device in devices]
    pages.reload()
    assert "/login" in pages.url


def test_a_trial_is_extended(admin_pages: AdminPages, customer: dict[str, Any], shared_stack: Stack):
    shared_stack.manage("shell", "-c", TRIAL.format(email=customer["email"]))
    before = shared_stack.get("product", "/api/subscriptions/current", headers=customer["headers"]).json()[
        "subscription"
    ]

    admin_pages.find(customer["email"])
    admin_pages.do("Extend the trial", reason="Was ill all week", days_more="14")

    admin_pages.sees("The trial goes on until")
    after = shared_stack.get("product", "/api/subscriptions/current", headers=customer["headers"]).json()[
        "subscription"
    ]
    assert (before["status"], after["status"]) == ("trialing", "trialing")
    assert after["current_period_end"] > before["current_period_end"]
    admin_pages.sees("Trial extended")
