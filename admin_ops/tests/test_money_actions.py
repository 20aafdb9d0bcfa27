"""“Give me my money back, cancel, move me”: on the customer's page, with the exact effect before it is confirmed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from admin_ops.actions import effects
from admin_ops.tests.pages import confirm_form, open_admin_site
from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.billing import checkouts
from saas.billing.models import Invoice, Subscription
from saas.testing.factories import event_factories, user_factories
from saas.testing.factories.team_factories import create_team, with_verified_email
from saas.testing.local_provider import deliver_events

pytestmark = pytest.mark.django_db


def person_page(customer):
    return f"/admin/accounts/user/{customer.user.pk}/change/"


def do(row, name):
    return f"/admin/billing/{row._meta.model_name}/{row.pk}/do/{name}/"


def preview(admin_site, url, **fields):
    return admin_site.submit_form(url, {"preview": "1", **fields}).content.decode()


def test_the_page_of_a_customer_offers_what_can_be_done_with_their_money(admin_site, customer, bought):
    content = admin_site.get(person_page(customer)).content.decode()

    for row, name in [
        (bought, "change-plan"), (bought, "cancel"), (bought, "refresh"), (Invoice.objects.get(), "refund"),
        (bought.customer, "credit"),
    ]:  # fmt: skip
        assert f"{do(row, name)}?back=" in content


def test_only_admins_are_offered_money(admin_ops, customer, bought):
    open_admin_site(admin_ops, user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE))

    content = admin_ops.get(person_page(customer)).content.decode()

    assert (do(bought, "cancel") in content, do(Invoice.objects.get(), "refund") in content) == (False, False)
    assert admin_ops.submit_form(do(bought, "cancel"), {"reason": "x", "when": "now"}).status_code == 403
    assert preview(admin_ops, do(bought, "cancel"), when="now").count("Access ends") == 0


def test_a_part_of_an_invoice_is_refunded_after_its_effect_was_shown(admin_site, customer, staff_member, bought):
    invoice, url = Invoice.objects.get(), do(Invoice.objects.get(), "refund")
    fields = {"reason": "was down", "amount": "10.50", "back": person_page(customer)}

    asked = admin_site.get(url).content.decode()
    shown = preview(admin_site, url, amount="10.50")
    blind = admin_site.submit_form(url, fields)
    assert (blind.status_code, AuditEvent.objects.filter(action="invoice.refunded").exists()) == (422, False)
    done = confirm_form(admin_site, url, fields)

    assert f"79.00 USD of invoice {invoice} go back the way they were paid." in asked
    assert f"10.50 USD of invoice {invoice} go back the way they were paid." in shown
    assert "68.50 USD of 79.00 USD stay paid." in shown
    assert "Read above what exactly will happen" in blind.content.decode()
    assert done["Location"] == person_page(customer)
    deliver_events()
    assert Invoice.objects.get().returned_cents == 1050
    audited = AuditEvent.objects.get(action="invoice.refunded")
    assert (audited.actor, audited.reason) == (staff_member.user.pk, "was down")


def test_what_was_confirmed_is_not_done_if_it_would_be_something_else_now(admin_site, bought):
    url = do(Invoice.objects.get(), "refund")
    shown = preview(admin_site, url)
    token = shown.partition('name="effect_token" value="')[2].partition('"')[0]
    Invoice.objects.update(returned_cents=5000)  # a colleague was quicker

    answer = admin_site.submit_form(url, {"reason": "was down", "effect_token": token})

    assert (answer.status_code, "29.00 USD of invoice" in answer.content.decode()) == (422, True)
    assert not AuditEvent.objects.filter(action="invoice.refunded").exists()


def test_an_effect_is_confirmed_within_minutes(admin_site, bought, monkeypatch):
    monkeypatch.setattr(effects, "MAX_AGE_SECONDS", -1)

    answer = confirm_form(admin_site, do(Invoice.objects.get(), "refund"), {"reason": "was down"})

    assert answer.status_code == 422
    assert not AuditEvent.objects.filter(action="invoice.refunded").exists()


@pytest.mark.parametrize(
    ("when", "sentence", "status", "is_refunded"),
    [
        ("period_end", "Until then access stays.", "active", False),
        ("now", "Nothing is refunded.", "canceled", False),
        ("now_refunded", "go back as they were paid.", "canceled", True),
    ],
)
def test_a_subscription_is_canceled_as_was_said(admin_site, bought, when, sentence, status, is_refunded):
    shown = preview(admin_site, do(bought, "cancel"), when=when)

    done = confirm_form(admin_site, do(bought, "cancel"), {"reason": "wants out", "when": when})
    deliver_events()

    bought.refresh_from_db()
    assert (sentence in shown, done.status_code) == (True, 302)
    assert (bought.status, bought.cancel_at_period_end) == (status, when == "period_end")
    assert (Invoice.objects.get().returned_cents > 0) == is_refunded
    assert AuditEvent.objects.get(action="subscription.canceled").reason == "wants out"


def test_what_is_not_paid_is_said_to_end_at_once(admin_site, bought):
    Subscription.objects.update(status="past_due")

    shown = preview(admin_site, do(bought, "cancel"), when="period_end")

    assert "Access ends at once: this period is not paid." in shown


def test_a_cancellation_is_taken_back(admin_site, bought):
    confirm_form(admin_site, do(bought, "cancel"), {"reason": "wants out", "when": "period_end"})

    done = admin_site.submit_form(do(bought, "resume"), {"reason": "stays"})

    bought.refresh_from_db()
    assert (done.status_code, bought.is_canceling) == (302, False)
    assert AuditEvent.objects.get(action="subscription.resumed").reason == "stays"


def test_the_plan_is_changed_after_its_price_was_shown(admin_site, bought):
    shown = preview(admin_site, do(bought, "change-plan"), plan_id="scale", interval="")

    done = confirm_form(admin_site, do(bought, "change-plan"), {"reason": "grew", "plan_id": "scale", "interval": ""})

    bought.refresh_from_db()
    assert ("From Growth to Scale, at once." in shown, "The next invoice is " in shown) == (True, True)
    assert (done.status_code, bought.plan_id) == (302, "scale")
    assert AuditEvent.objects.get(action="subscription.changed").reason == "grew"


def test_the_same_plan_is_no_change(admin_site, bought):
    shown = preview(admin_site, do(bought, "change-plan"), plan_id="growth", interval="")
    answer = confirm_form(
        admin_site, do(bought, "change-plan"), {"reason": "grew", "plan_id": "growth", "interval": ""}
    )

    assert ("on this plan already" in shown, 'value=""' in shown, answer.status_code) == (True, True, 422)
    assert not AuditEvent.objects.filter(action="subscription.changed").exists()


def test_a_credit_is_given_in_whole_units(admin_site, bought):
    url = do(bought.customer, "credit")

    shown = preview(admin_site, url, amount="5", currency="USD")
    done = confirm_form(admin_site, url, {"reason": "sorry", "amount": "5", "currency": "USD"})

    assert ("cost 5.00 USD less" in shown, done.status_code) == (True, 302)
    assert AuditEvent.objects.get(action="customer.credited").data == {"amount_cents": 500, "currency": "usd"}


def test_the_same_credit_given_again_says_that_nothing_was_added(admin_site, bought):
    url, fields = do(bought.customer, "credit"), {"reason": "sorry", "amount": "5", "currency": "USD"}
    confirm_form(admin_site, url, fields)

    again = confirm_form(admin_site, url, fields)

    assert "Nothing was added" in admin_site.get(again["Location"]).content.decode()
    assert AuditEvent.objects.filter(action="customer.credited").count() == 1


def test_a_plan_that_is_given_is_said_with_its_limits(admin_site, customer):
    last_day = timezone.now() + timedelta(days=30)
    shown = preview(
        admin_site,
        f"/admin/accounts/user/{customer.user.pk}/do/give-plan/",
        plan="growth",
        last_day=f"{last_day:%Y-%m-%d}",
    )

    assert f"has Growth until {last_day:%-d %b %Y}, free of charge" in shown


def test_a_team_page_offers_the_same(admin_site, customer):
    team = create_team(with_verified_email(customer))
    checkouts.start_checkout(customer.user, owner=team, plan_id="growth")
    event_factories.drain()
    row = Subscription.objects.get()

    content = admin_site.get(f"/admin/teams/team/{team.pk}/change/").content.decode()

    assert (do(row, "cancel") in content, do(Invoice.objects.get(), "refund") in content) == (True, True)
    assert (do(row, "change-plan") in content, do(row.customer, "credit") in content) == (True, True)
