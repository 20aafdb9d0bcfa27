"""The lists of Django admin: what was filtered or searched stays so, and no single row closes a list."""

import html
import re
from urllib.parse import urlencode

import pytest

from admin_ops.tests.pages import confirm_form
from saas.accounts.models import User
from saas.billing.catalogue import plans
from saas.billing.models import Plan, Price
from saas.mail.models import Mail
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import create_team, with_verified_email

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/accounts/user/"
EVENTS = "/admin/webhook_events/webhookevent/"


def found(client, path):
    return client.get(path).content.decode()


def test_a_bulk_action_leads_back_to_the_list_as_it_was_filtered(admin_site, customer):
    here, chosen = f"{PEOPLE}?q=kim&status__exact=active", {"_selected_action": customer.user.pk}

    asked = admin_site.submit_form(here, {"action": "ban_selected", **chosen}).content.decode()
    back = html.unescape(re.search(r'name="back" value="([^"]+)"', asked)[1])
    fields = {"action": "ban_selected", "confirmed": "yes", "reason": "spam", "back": back, **chosen}
    done = admin_site.submit_form(PEOPLE, fields)

    assert back == done["Location"] == here
    assert f'<a href="{html.escape(here)}" class="ops-button">Back</a>' in asked
    assert User.objects.get(pk=customer.user.pk).status == "disabled"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "/elsewhere"])
def test_a_bulk_action_leads_nowhere_else(admin_site, customer, back):
    fields = {"action": "ban_selected", "_selected_action": customer.user.pk, "confirmed": "yes", "reason": "spam"}

    assert admin_site.submit_form(PEOPLE, {**fields, "back": back})["Location"] == PEOPLE


def test_a_saved_filter_keeps_what_was_searched(admin_site, bought):
    page = found(admin_site, f"{EVENTS}?q=invoice.&show=today&p=1")

    links = [html.unescape(link) for link in re.findall(r'<a href="([^"]*)"[^>]*>(?:All|In trouble)</a>', page)]
    assert sorted(links) == ["?q=invoice.", "?q=invoice.&show=trouble"]


@pytest.mark.parametrize("plan_id", ["pro_24", "pro_2024", "team_5f", "pro-24"])
def test_a_plan_is_found_whatever_its_id_reads_like(admin_site, plan_id):
    Price.objects.all().delete()
    Plan.objects.all().delete()
    plans.create_plan(plan_id, by="system", name="Pro")
    listed = re.search(r'href="(/admin/billing/plan/[^"]+/change/)"', found(admin_site, "/admin/billing/plan/"))[1]
    page = admin_site.get(listed)
    edit = re.search(r'href="([^"?]*/do/edit/)', page.content.decode())[1]

    done = confirm_form(admin_site, edit, {"name": "Pro!", "is_visible": "yes", "position": "1", "reason": "louder"})

    assert (page.status_code, done.status_code) == (200, 302)
    assert "Pro!" in found(admin_site, done["Location"])
    assert Plan.objects.get(pk=plan_id).name == "Pro!"


def test_a_mail_whose_template_is_gone_closes_neither_the_list_nor_a_page(admin_site, customer):
    Mail.objects.filter(recipient=customer.user.email).update(template="of_a_removed_module", status="failed")
    mail = Mail.objects.get(recipient=customer.user.email)

    listed = admin_site.get("/admin/mail/mail/")
    person = admin_site.get(f"{PEOPLE}{customer.user.pk}/change/")
    page = admin_site.get(f"/admin/mail/mail/{mail.pk}/change/")
    resent = admin_site.submit_form(f"/admin/mail/mail/{mail.pk}/do/resend/", {"reason": "again"})

    assert (listed.status_code, person.status_code, page.status_code, resent.status_code) == (200, 200, 200, 409)
    assert "of_a_removed_module" in listed.content.decode()
    assert "Its template is no longer there" in page.content.decode()
    assert Mail.objects.get(pk=mail.pk).status == "failed"


# ── The search ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_enter_in_the_search_field_finds_teams_and_events_too(admin_site, customer, bought):
    team = create_team(with_verified_email(customer), "Sentinels")
    form = re.search(r'<form action="([^"]+)" role="search"', found(admin_site, "/admin/"))[1]

    page = found(admin_site, f"{form}?q={team.pk}")
    people = found(admin_site, f"{form}?q=kim")

    assert f'href="/admin/teams/team/{team.pk}/change/"' in page
    assert f'value="{team.pk}"' in page
    assert re.search(r"<title>\s*Search ", page)
    assert f'href="{PEOPLE}?q=kim"' in people


def test_a_search_field_gets_what_is_found_without_the_page(admin_site, customer):
    part = admin_site.get(f"/admin/search/?q={customer.user.email}", headers={"HX-Request": "true"}).content.decode()

    assert customer.user.email in part
    assert "<html" not in part


def test_a_search_for_nothing_that_is_there_says_so_on_its_page(admin_site):
    page = found(admin_site, "/admin/search/?q=nobody-at-all")

    assert "Nothing is found." in page


@pytest.mark.parametrize("typed", ["Caf\u00e9", "Cafe\u0301"])
def test_a_team_is_found_in_every_form_of_its_letters(admin_site, customer, typed):
    team = create_team(with_verified_email(customer), "Caf\u00e9 Noir")

    assert f"/admin/teams/team/{team.pk}/change/" in found(admin_site, f"/admin/search/?q={typed}")


@pytest.mark.parametrize("typed", ["ibrahim", "\u0130brahim", "IBRAHIM"])
def test_a_turkish_name_is_found_with_and_without_the_dot(admin_site, typed):
    person = user_factories.create_customer("kara@example.net", "\u0130brahim Kara")

    assert person.user.email in found(admin_site, f"{PEOPLE}?q={typed}")


@pytest.mark.parametrize("term", ["a " * 1500, '"', "'", '"a', "%", "\\", "\U0001f600", " kim", "\u00a0kim"])
@pytest.mark.parametrize(
    "table", ["accounts/user", "accounts/loginsession", "audit/auditevent", "teams/team", "mail/mail"]
)
def test_a_list_can_be_searched_for_anything(admin_site, customer, table, term):
    assert admin_site.get(f"/admin/{table}/?{urlencode({'q': term})}").status_code == 200
