"""The five questions that support is asked, from the dashboard to the answer and the remedy, each click counted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from saas.testing.browser import accessibility_faults
from saas.testing.factories.user_factories import PASSWORD
from saas.testing.servers.stack import Stack
from saas.tests.journeys.conftest import NARROW

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

MOST_TO_THE_ANSWER, MOST_TO_THE_REMEDY = 3, 2
# One process creates all people, because starting one takes seconds. The database trigger makes one event fail, as a bug would.
PEOPLE = """
import json
from django.db import connection, transaction
from saas.billing import checkouts
from saas.billing.models import Invoice, Subscription
from saas.mail.actions import queue_mail
from saas.mail.models import Mail
from saas.audit.actions import record
from saas.teams.roles import Role
from saas.testing.factories import team_factories, user_factories
from saas.webhook_events.models import WebhookEvent

customer = user_factories.create_customer
user_factories.create_staff_member("dora.desk@example.org")
nadia, rena, tess, mel, vic = (
    customer(f"{name.lower()}.{letter}@example.net", f"{name} Example")
    for name, letter in [("Nadia", "access"), ("Rena", "refund"), ("Tess", "team"), ("Mel", "mail"), ("Vic", "view")]
)
checkouts.start_checkout(rena.user, plan_id="growth")
team = team_factories.create_team(tess, "Desk Example Ltd")
team_factories.add_member(team, Role.ADMIN, team_factories.with_verified_email(vic))
with transaction.atomic():
    queue_mail("password_changed", to=mel.user.email, context={"name": "Mel"}, dedupe_key="desk")
Mail.objects.filter(recipient=mel.user.email).update(status="sent")
cursor, is_postgres = connection.cursor(), connection.vendor == "postgresql"
if is_postgres:
    cursor.execute("CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$")
    cursor.execute("CREATE TRIGGER broken BEFORE INSERT ON billing_subscription FOR EACH ROW EXECUTE FUNCTION broken()")
else:
    cursor.execute("CREATE TRIGGER broken BEFORE INSERT ON billing_subscription BEGIN SELECT RAISE(ABORT, 'broken'); END")
checkouts.start_checkout(nadia.user, plan_id="growth")
cursor.execute("DROP TRIGGER broken ON billing_subscription" if is_postgres else "DROP TRIGGER broken")
if is_postgres:
    cursor.execute("DROP FUNCTION broken")
WebhookEvent.objects.filter(status="retry_scheduled").update(status="failed")
wordy = customer("somebody.whose.address.is.as.long.as.addresses.come@mail.example.net", "Wordy Example")
record("subscription.discount_given", actor=wordy.user.pk, target=wordy.user.pk, reason="Campaign_of_the_spring_" * 5)
print(json.dumps({
    "user": nadia.user.pk,
    "team": team.pk,
    "invoice": Invoice.objects.for_owner(rena.user).get().pk,
    "subscription": Subscription.objects.for_owner(rena.user).get().pk,
    "event": WebhookEvent.objects.in_trouble().latest("pk").pk,
    "mail": Mail.objects.get(dedupe_key="desk").pk,
}))
"""
# Whether the window, or a table in it, is wider than what is seen of it.
HIDDEN_PIXELS = """[document.documentElement, ...document.querySelectorAll("main .simplebar-content-wrapper")]
    .some(element => element.scrollWidth > element.clientWidth)"""
COUNT = "addEventListener('click', () => countClick(), true)"  # in every tab and at every service
OLD_LOGIN = """
from saas.accounts.models import LoginSession
LoginSession.objects.filter(audience="saas-admin").update(authenticated_at="2020-01-01T00:00Z")
"""


@dataclass(frozen=True)
class Desk:
    """The admin pages in a tab. The clicks of the pointer and those that a pressed Enter makes are counted in all tabs."""

    page: "Page"
    home: str
    counted: list[int]

    @property
    def clicks(self) -> int:
        return len(self.counted)

    def type_into(self, label: str, text: str) -> None:
        """Without a click: the field has the focus already."""
        field = self.page.locator("main").get_by_label(label)
        field.and_(self.page.locator(":focus")).wait_for()
        self.page.keyboard.type(text)

    def see_what_they_see(self, reason: str) -> str:
        """Fill in the form, whose button opens the customer's pages in a tab of their own; return what they show."""
        self.type_into("Reason", reason)
        with self.page.expect_popup() as opened:
            self.page.get_by_role("button", name="See what they see").click()
        opened.value.wait_for_url("**/account")
        shown = opened.value.inner_text("body")
        opened.value.close()
        return shown

    def find(self, term: str) -> None:
        """By the field at the side and the first result."""
        self.page.get_by_text("Find a person, team or event").click()
        self.page.get_by_label("Search", exact=True).last.fill(term)
        self.page.locator("#command-results-list a").first.click()
        self.page.get_by_role("heading", name="Timeline").wait_for()

    def confirm(self, action: str, **fields: str) -> None:
        for label, value in fields.items():
            self.page.get_by_label(label.capitalize()).fill(value)
        self.page.locator("form").get_by_role("button", name=action, exact=True).click()

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    def sees_no_alarm(self) -> None:
        self.page.wait_for_function("!document.querySelector('[role=alert]')")


@pytest.fixture(scope="module")
def people(shared_stack: Stack) -> dict[str, str]:
    done = shared_stack.manage("shell", "-v", "0", "-c", PEOPLE)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.strip().rpartition("\n")[2]))


@pytest.fixture(scope="module")
def logged_in(chromium: "Browser", shared_stack: Stack, people: dict[str, str]) -> Iterator[Desk]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    counted: list[int] = []
    context.expose_binding("countClick", lambda source: counted.append(1))
    context.add_init_script(COUNT)
    page = context.new_page()
    page.goto(shared_stack.urls["admin_ops"] + "/admin/")
    page.get_by_label("E-mail").fill("dora.desk@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Dashboard").wait_for()
    yield Desk(page, page.url, counted)
    context.close()


@pytest.fixture
def desk(logged_in: Desk) -> Iterator[Desk]:
    """A tab of its own: in a shared one, what a test ends with may still load and cut off how the next one begins."""
    page = logged_in.page.context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(logged_in.home)
    logged_in.counted.clear()
    yield replace(logged_in, page=page)
    page.close()
    assert problems == []


def test_i_paid_and_have_no_access(desk: Desk) -> None:
    desk.find("nadia.access@example.net")
    alarm = desk.page.get_by_role("alert").filter(has_text="broken")
    alarm.first.wait_for()
    to_the_answer = desk.clicks

    alarm.get_by_role("link", name="Replay").first.click()
    desk.confirm("Replay", reason="Paid, but has no access: ticket 4711")
    desk.sees("will run once more")
    to_the_remedy = desk.clicks - to_the_answer
    desk.page.evaluate("window.isTheSamePage = true")
    desk.page.get_by_role("link", name="Growth", exact=True).wait_for()

    desk.sees_no_alarm()
    assert desk.page.evaluate("window.isTheSamePage")  # the page showed the result without being loaded again
    assert (to_the_answer <= MOST_TO_THE_ANSWER, to_the_remedy <= MOST_TO_THE_REMEDY) == (True, True)


def test_what_do_they_see(desk: Desk) -> None:
    """By mouse alone: their page, the form, their pages."""
    desk.type_into("Find a person, a team or an event", "vic.view@example.net")
    desk.page.locator("#found").get_by_role("link", name="vic.view@example.net").click()
    desk.page.get_by_role("link", name="See what they see").click()
    shown = desk.see_what_they_see("Cannot find their team")

    assert "You see what vic.view@example.net sees, reading only" in shown
    assert desk.clicks == MOST_TO_THE_ANSWER
    desk.page.wait_for_url("**/accounts/user/*/change/")  # where they came from, with what is running in the timeline
    desk.sees("Impersonation started")


def test_what_do_they_see_after_an_old_login(desk: Desk, shared_stack: Stack) -> None:
    """The password is asked for before the form, and still no click more than the bound."""
    assert shared_stack.manage("shell", "-v", "0", "-c", OLD_LOGIN).returncode == 0
    desk.type_into("Find a person, a team or an event", "vic.view@example.net")
    desk.page.locator("#found").get_by_role("link", name="See what they see").click()
    desk.sees("Confirm your password first.")
    assert desk.page.get_by_label("Reason").count() == 0

    desk.type_into("Your password", PASSWORD)
    desk.page.get_by_role("button", name="Confirm").click()
    shown = desk.see_what_they_see("Cannot find their team")

    assert "You see what vic.view@example.net sees, reading only" in shown
    assert desk.clicks == MOST_TO_THE_ANSWER


def test_give_me_my_money_back(desk: Desk) -> None:
    desk.find("rena.refund@example.net")
    invoices = desk.page.locator("section").filter(has=desk.page.get_by_role("heading", name="Invoices"))
    invoices.get_by_text("79.00 USD").first.wait_for()
    to_the_answer = desk.clicks

    invoices.get_by_role("link", name="Refund", exact=True).click()
    desk.page.get_by_label("Amount").fill("20")
    desk.sees("20.00 USD of invoice")  # the exact effect, before it is confirmed
    desk.confirm("Refund", reason="Goodwill")
    desk.sees("20.00 USD are on their way back")

    assert "59.00 USD kept" in invoices.inner_text()
    assert (to_the_answer <= MOST_TO_THE_ANSWER, desk.clicks - to_the_answer <= MOST_TO_THE_REMEDY) == (True, True)


def test_who_can_do_what_in_my_team(desk: Desk) -> None:
    desk.find("Desk Example")
    members = desk.page.locator("section").filter(has=desk.page.get_by_role("heading", name="Members"))

    assert [row.split("\t")[:2] for row in members.locator("tbody").inner_text().splitlines()] == [
        ["tess.team@example.net", "Owner"],
        ["vic.view@example.net", "Admin"],
    ]
    assert desk.clicks <= MOST_TO_THE_ANSWER


def test_did_you_send_me_that_mail(desk: Desk) -> None:
    desk.find("mel.mail@example.net")
    mails = desk.page.locator("section").filter(has=desk.page.get_by_role("heading", name="Mails", exact=True))
    mails.get_by_role("link", name="Your password was changed").first.wait_for()
    to_the_answer = desk.clicks

    mails.get_by_role("link", name="Send it again").first.click()
    desk.confirm("Send it again", reason="Did not find it")
    desk.sees("It is on its way to mel.mail@example.net again.")

    assert mails.get_by_role("link", name="Your password was changed").count() == 2
    assert (to_the_answer <= MOST_TO_THE_ANSWER, desk.clicks - to_the_answer <= MOST_TO_THE_REMEDY) == (True, True)


@pytest.mark.parametrize("person", ["nadia.access", "vic.view"])
def test_the_first_two_questions_are_answered_on_a_phone(desk: Desk, person: str) -> None:
    desk.page.set_viewport_size({"width": NARROW, "height": 800})
    desk.page.goto(f"{desk.home}accounts/user/?q={person}")
    desk.page.get_by_role("link", name=f"{person}@example.net").click()
    desk.page.get_by_role("link", name="See what they see").click()

    assert desk.page.get_by_label("Reason").is_visible()
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= NARROW


# One page of each template, and the lists whose columns differ most.
PAGES = [
    "", "alarms/", "accounts/user/", "accounts/user/?q=nobody", "webhook_events/webhookevent/?show=trouble",
    "audit/auditevent/", "webhook_events/replaybatch/", "accounts/user/{user}/change/", "accounts/user/{user}/do/impersonate/",
    "accounts/user/{user}/do/ban/", "teams/team/{team}/change/", "billing/invoice/{invoice}/change/",
    "billing/invoice/{invoice}/do/refund/", "billing/subscription/{subscription}/change/",
    "billing/subscription/{subscription}/do/refresh/", "billing/plan/growth/change/",
    "webhook_events/webhookevent/{event}/change/", "mail/mail/{mail}/change/",
]  # fmt: skip


def test_no_page_of_the_desk_has_a_fault_of_accessibility_or_is_too_wide(desk: Desk, people: dict[str, str]) -> None:
    faults = set()
    for path in PAGES:
        desk.page.goto(desk.home + path.format(**people))
        # Dark mode changes nothing but colours, so only their contrast is looked at again.
        for theme, rules in (("light", ()), ("dark", ("color-contrast",))):
            desk.page.evaluate("theme => document.documentElement.classList.toggle('dark', theme === 'dark')", theme)
            faults |= {(path, theme, fault) for fault in accessibility_faults(desk.page, rules=rules)}
        if desk.page.evaluate(HIDDEN_PIXELS):
            faults.add((path, "", "too wide"))

    assert faults == set()
