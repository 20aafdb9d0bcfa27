"""Rarely used tables say in people's words what a row is: a card, a key, a device, a movement of revenue."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from saas.accounts.models import RefreshToken
from saas.billing.models import LedgerEntry, PaymentMethod
from saas.teams.models import ApiKey
from saas.testing.factories.team_factories import create_api_key, create_team, with_verified_email

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"


def shown(admin_site, path):
    return " ".join(unescape(admin_site.get(path).content.decode()).split())


def card(bought, **values):
    given = {"brand": "visa", "type": "card", "last4": "4242", "exp_month": 3, "exp_year": 2031, **values}
    return PaymentMethod.objects.create(external_id="pm_shown", customer=bought.customer, **given)


@pytest.mark.parametrize(
    ("values", "name", "until"),
    [
        ({}, "Visa •••• 4242", "03/2031"),
        ({"brand": "", "type": "sepa_debit", "exp_month": None}, "Sepa debit •••• 4242", "–"),
        ({"brand": "", "type": "", "last4": "", "exp_year": None}, "Unknown", "–"),
    ],
)
def test_a_payment_method_is_named_as_on_a_receipt(admin_site, bought, values, name, until):
    method = card(bought, **values)

    listed, page = (shown(admin_site, f"/admin/billing/paymentmethod/{end}") for end in ("", f"{method.pk}/change/"))

    assert (name in listed, until in listed, name in page) == (True, True, True)
    assert "Exp month" not in listed


def test_a_payment_method_says_when_it_was_removed(admin_site, bought):
    method = card(bought, detached_at=timezone.now())

    assert "until it was removed on" in shown(admin_site, f"/admin/billing/paymentmethod/{method.pk}/change/")


@pytest.mark.parametrize(
    ("field", "days", "state"),
    [("revoked_at", 0, "revoked"), ("expires_at", -1, "expired"), ("expires_at", 1, "active")],
)
def test_a_key_says_what_it_may_and_whether_it_still_works(admin_site, customer, field, days, state):
    create_api_key(create_team(with_verified_email(customer)), customer, "read", "write")
    ApiKey.objects.update(**{field: timezone.now() + timedelta(days=days)})

    page = shown(admin_site, f"/admin/teams/apikey/{ApiKey.objects.get().pk}/change/")

    assert "read and write" in page
    assert re.search(rf">\s*{state}\s*<", page)


def test_a_session_names_its_device(admin_site, customer):
    customer.user.sessions.update(agent=FIREFOX)

    assert "Firefox on Windows" in shown(admin_site, "/admin/accounts/loginsession/")


def test_a_session_that_nothing_can_use_any_more_is_not_active(admin_site, customer):
    past = timezone.now() - timedelta(seconds=1)
    customer.user.sessions.update(expire_date=past)
    RefreshToken.objects.filter(session__user=customer.user).update(expires_at=past)

    assert re.search(r">\s*expired\s*<", shown(admin_site, "/admin/accounts/loginsession/"))


def test_a_movement_of_revenue_is_a_sentence(admin_site, bought):
    entry = LedgerEntry.objects.filter(delta_cents__gt=0).get()

    page = shown(admin_site, f"/admin/billing/ledgerentry/{entry.pk}/change/")

    assert f"brought {entry.monthly.text()} a month" in page
    assert f"{entry.delta.text()} more than before." in page
