"""Promotion codes: made by staff, and given to customers who pay already."""

from html import unescape

import pytest

from admin_ops.tests.pages import confirm_form, open_admin_site
from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.billing.models import PromotionCode
from saas.testing.factories import user_factories

pytestmark = pytest.mark.django_db

ADD = "/admin/billing/promotioncode/add/"
SPRING = {
    "code": "spring",
    "percent_off": "20",
    "duration": "repeating",
    "duration_months": "3",
    "reason": "Campaign 7",
}


def discount_page(subscription):
    return f"/admin/billing/subscription/{subscription.pk}/do/give-discount/"


def test_a_promotion_code_is_made_after_its_effect_was_shown(admin_site, staff_member):
    shown = admin_site.submit_form(ADD, {**SPRING, "preview": "1"}).content.decode()
    unconfirmed = admin_site.submit_form(ADD, SPRING)
    made_too_early = PromotionCode.objects.count()
    done = confirm_form(admin_site, ADD, SPRING)

    assert "Customers who enter SPRING at the checkout have 20 % off each invoice for 3 months." in shown
    assert (unconfirmed.status_code, made_too_early) == (422, 0)
    row = PromotionCode.objects.get()
    assert (done.status_code, done["Location"]) == (302, "/admin/billing/promotioncode/")
    assert (row.code, row.off, row.duration_months, row.expires_at) == ("SPRING", "20 %", 3, None)
    audited = AuditEvent.objects.get(action="promotion_code.created")
    assert (audited.actor, audited.target, audited.reason) == (staff_member.user.pk, row.pk, "Campaign 7")


def test_the_last_day_that_can_be_written_is_a_last_day(admin_site):
    shown = admin_site.submit_form(ADD, {**SPRING, "last_day": "9999-12-31", "preview": "1"})

    assert (shown.status_code, "until 30 Dec 9999" in shown.content.decode()) == (200, True)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"amount": "5", "currency": "eur"}, "Give either a percentage above 0, up to 100, or an amount."),
        ({"percent_off": "0"}, "Give either a percentage above 0, up to 100, or an amount."),
        ({"max_redemptions": "3000000000"}, "Give a number from 1 to 1,000,000."),
        ({"last_day": "2020-01-01"}, "Give a moment that is not over."),
        ({"percent_off": "", "amount": "5"}, "Which currency is the amount in?"),
        ({"duration": "once"}, "A repeating discount lasts 1 to 60 months; the others name none."),
        ({"code": "spring 20"}, "Use up to 64 letters, digits and hyphens."),
        ({"code": "old"}, "There is a promotion code like this already."),
    ],
)
def test_a_promotion_code_that_cannot_be_is_refused_with_a_sentence(admin_site, fields, sentence):
    PromotionCode.objects.create(code="OLD", percent_off=20, duration="once")

    refused = confirm_form(admin_site, ADD, SPRING | fields)

    assert (refused.status_code, PromotionCode.objects.count()) == (422, 1)
    assert sentence in unescape(refused.content.decode())


def test_only_those_who_edit_the_catalogue_make_promotion_codes(admin_ops):
    open_admin_site(admin_ops, user_factories.create_staff_member("", StaffRole.SUPPORT_WRITE))

    listed = admin_ops.get("/admin/billing/promotioncode/").content.decode()

    assert (admin_ops.get(ADD).status_code, confirm_form(admin_ops, ADD, SPRING).status_code) == (403, 403)
    assert (ADD in listed, PromotionCode.objects.count()) == (False, 0)


def test_an_empty_list_says_what_would_stand_there(admin_site):
    shown = admin_site.get("/admin/billing/promotioncode/").content.decode()
    searched = admin_site.get("/admin/billing/promotioncode/?q=nothing").content.decode()
    mails = admin_site.get("/admin/mail/mail/").content.decode()

    assert ("There is no promotion code: a discount that" in shown, ADD in shown) == (True, True)
    assert ("No row matches." in searched, "There is no promotion code" in searched) == (True, False)
    assert ("Create a new item" in mails, "/admin/mail/mail/add/" in mails) == (False, False)


def test_a_promotion_code_is_made_by_the_api(admin_ops, staff_member):
    body = {"code": "five", "duration": "once", "amount_off_cents": 500, "currency": "usd", "reason": "Fair"}

    made = admin_ops.post("/api/admin/promotion-codes", body, token=staff_member.token)
    again = admin_ops.post("/api/admin/promotion-codes", body, token=staff_member.token)

    row = PromotionCode.objects.get()
    assert (made.status_code, again.status_code, again.json()["code"]) == (201, 409, "promotion_code_exists")
    assert made.json() == {
        "promotion_code": {
            "id": row.pk, "code": "FIVE", "name": "", "percent_off": None, "amount_off_cents": 500, "currency": "usd",
            "duration": "once", "duration_months": None, "max_redemptions": None, "expires_at": None, "is_active": True,
        }
    }  # fmt: skip


def test_a_discount_is_given_after_its_effect_was_shown(admin_site, staff_member, bought):
    PromotionCode.objects.create(code="HALF", percent_off=50, duration="forever")
    fields = {"promotion_code": "HALF", "reason": "Long outage"}

    shown = admin_site.submit_form(discount_page(bought), {**fields, "preview": "1"}).content.decode()
    done = confirm_form(admin_site, discount_page(bought), fields)

    assert "HALF takes 50 % off each invoice from now on, in addition to other discounts." in shown
    assert "Without it, 79.00 USD would be charged on" in shown
    before = bought.monthly_cents
    bought.refresh_from_db()
    assert (done.status_code, before, bought.monthly_cents) == (302, 7900, 3950)
    audited = AuditEvent.objects.get(action="subscription.discount_given")
    assert (audited.actor, audited.target, audited.reason) == (staff_member.user.pk, bought.pk, "Long outage")
    assert (audited.data["code"], audited.data["off"]) == ("HALF", "50 %")


def test_a_code_of_another_currency_is_refused(admin_site, bought):
    PromotionCode.objects.create(code="EURO", amount_off_cents=500, currency="eur", duration="once")

    refused = confirm_form(admin_site, discount_page(bought), {"promotion_code": "EURO", "reason": "Fair"})

    assert (refused.status_code, "This code is for prices in eur only." in refused.content.decode()) == (422, True)
    assert AuditEvent.objects.filter(action="subscription.discount_given").count() == 0


def test_a_discount_is_given_by_the_api(admin_ops, staff_member, bought):
    PromotionCode.objects.create(code="HALF", percent_off=50, duration="forever")
    path = f"/api/admin/subscriptions/{bought.pk}/discount"

    unknown = admin_ops.post(path, {"promotion_code": "NONE", "reason": "Fair"}, token=staff_member.token)
    given = admin_ops.post(path, {"promotion_code": "half", "reason": "Fair"}, token=staff_member.token)

    assert (unknown.status_code, list(unknown.json()["errors"])) == (422, ["promotion_code"])
    assert (given.status_code, given.json()["subscription"]["price_monthly"]) == (200, 39.5)
