"""Malformed forms and wrong ids at the page of every staff action: never a crash, nothing done, and the exact answer."""

from datetime import timedelta
from urllib.parse import quote, urlencode

import pytest
from django import forms
from django.db import transaction
from django.utils import timezone

from admin_ops.actions import ALL_ACTIONS
from admin_ops.tests.test_available_actions import FIELDS, bought, key_of
from saas.accounts.models import Impersonation, LoginSession, Totp, User
from saas.audit.models import AuditEvent
from saas.billing import checkouts, overrides
from saas.billing.models import Customer, EntitlementOverride, Plan, Price, PriceMove, PromotionCode, Subscription
from saas.mail.models import Mail
from saas.testing.factories import event_factories
from saas.testing.factories.team_factories import create_team, with_verified_email
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db

GOOD = {
    **FIELDS, "key": "crm_id", "value": "9", "day": FIELDS["last_day"], "name": "Growth", "description": "More",
    "is_visible": "yes", "position": "1", "interval": "month", "code": "AUTUMN", "percent_off": "20", "duration": "once",
    "duration_months": "", "max_redemptions": "", "price_id": "", "ticket": "", "promotion_code": "SPRING",
    "roles": "auditor",
}  # fmt: skip
LONG, NUL, HUGE = "é" + "x" * 5000, "a\x00b", "9" * 40
# By the kind of fault: the values that a field is sent with, and whether the field has to be of a type for them to be wrong.
FAULTS = {
    "missing": (lambda good: [], False),
    "oversized": (lambda good: [LONG], False),
    "NUL": (lambda good: [NUL], False),
    "good, then oversized": (lambda good: [good, LONG], False),
    "of another type": (lambda good: ["[object Object]"], True),
    "a wrong date": (lambda good: ["2026-02-31"], True),
    "a huge number": (lambda good: [HUGE], True),
    "less than nothing": (lambda good: ["-" + HUGE], True),
}
WRONG_IDS = ["nothing", "0", "-1", HUGE, "a" * 3000, "é", "%00", "a%00b", "..%2f..%2f", "'%20OR%201=1", "%F0%9F%92%A9"]


def user(person, **values):
    User.objects.filter(pk=person.user.pk).update(**values)
    return User.objects.get(pk=person.user.pk)


def with_second_factor(person, staff):
    Totp.objects.create(user=person.user, sealed_secret="x", confirmed_at=timezone.now())
    return user(person)


def on_trial(person, staff):
    return bought(person, status="trialing", trial_end=timezone.now() + timedelta(days=5))


def user_on_trial(person, staff):
    on_trial(person, staff)
    return user(person)


def running_impersonation(person, staff):
    return Impersonation.objects.create(
        session=LoginSession.objects.get(sid=person.session_id),
        staff_session=LoginSession.objects.get(sid=staff.session_id),
        reason="x",
        ends_at=timezone.now() + timedelta(minutes=5),
    )


def live_override(person, staff):
    return overrides.comp_plan(
        person.user, plan_id="scale", expires_at=timezone.now() + timedelta(days=9), reason="x", by=staff.user
    )


def replaced_price(person, staff):
    return Price.objects.create(
        provider="local",
        external_id="price_old",
        plan_id="growth",
        unit_amount_cents=100,
        currency="usd",
        interval="month",
    )


def planned_move(person, staff):
    price = Price.objects.filter(plan="growth", is_current=True).first()
    return PriceMove.objects.create(from_price=price, to_price=price, effective_at=timezone.now(), reason="x")


def plan(is_active):
    def arrange(person, staff):
        Plan.objects.filter(pk="growth").update(is_active=is_active)
        return Plan.objects.get(pk="growth")

    return arrange


def event(person, staff):
    checkouts.start_checkout(person.user, plan_id="growth")
    event_factories.drain()
    return WebhookEvent.objects.first()


ROWS = {
    "user": lambda person, staff: user(person),
    "user.extend-trial": user_on_trial,
    "user.reset-mfa": with_second_factor,
    "user.roles": lambda person, staff: user(staff),
    "user.unban": lambda person, staff: user(person, status="disabled"),
    "team": lambda person, staff: create_team(with_verified_email(person)),
    "subscription": lambda person, staff: bought(person, status="active"),
    "subscription.map-price": lambda person, staff: bought(person, status="active", plan_is_known=False),
    "subscription.extend-trial": on_trial,
    "subscription.give-discount": lambda person, staff: bought(person, status="active"),
    "subscription.resume": lambda person, staff: bought(person, status="active", cancel_at_period_end=True),
    "customer.link-customer": lambda person, staff: Customer.objects.create(provider="local", external_id="cus_x"),
    "customer.credit": lambda person, staff: bought(person, status="active").customer,
    "invoice": lambda person, staff: bought(person, status="active").customer.invoices.get(),
    "price.move": replaced_price,
    "price.retire": lambda person, staff: Price.objects.filter(plan="growth", is_current=True).first(),
    "pricemove": planned_move,
    "entitlementoverride": live_override,
    "impersonation": running_impersonation,
    "webhookevent": event,
    "mail": lambda person, staff: Mail.objects.create(
        template="password_changed", recipient=person.user.email, status="sent", dedupe_key="x", context={"name": "Kim"}
    ),
    "plan": plan(True),
    "plan.unarchive": plan(False),
    "promotioncode": lambda person, staff: PromotionCode.objects.create(code="SPRING", percent_off=20, duration="once"),
}


def row_for(action, person, staff):
    key = key_of(action)
    return (ROWS.get(key) or ROWS[key.partition(".")[0]])(person, staff)


def page_of(action, row_id):
    table = f"/admin/{action.target.model._meta.app_label}/{action.target.model._meta.model_name}/"
    return f"{table}add/" if action.creates_a_row else f"{table}{row_id}/do/{action.name}/"


def faulty_forms(action, row):
    """Every field with every fault that is one for it, the others as they should be."""
    fields = action.form(row=row).fields
    for name, field in fields.items():
        for fault, (values, needs_a_type) in FAULTS.items():
            is_text = type(field) is forms.CharField
            if (needs_a_type and is_text) or (fault == "missing" and not field.required):
                continue
            others = {other: GOOD[other] for other in fields if other != name}
            yield f"{name}: {fault}", [*others.items(), *((name, value) for value in values(GOOD[name]))]


def state_of(row):
    """What an action would change."""
    tables = (AuditEvent, Mail, EntitlementOverride, Impersonation, Subscription, PriceMove, PromotionCode, Price)
    stored = type(row)._base_manager.filter(pk=row.pk).values().get() if row else {}
    return stored, [table._base_manager.count() for table in tables]


def answers(client, path, sent):
    """The statuses of GET and of POST. What they did is undone."""
    encoded = urlencode(sent)
    token = client.cookies["admin_ops_csrf"].value
    form = f"csrfmiddlewaretoken={token}&{encoded}"
    with transaction.atomic():
        read = client.generic("GET", path, QUERY_STRING=encoded).status_code
        written = client.generic("POST", path, form, content_type="application/x-www-form-urlencoded").status_code
        transaction.set_rollback(True)
    return read, written


@pytest.mark.parametrize("action", ALL_ACTIONS, ids=key_of)
def test_a_faulty_form_is_shown_again_and_does_nothing(admin_site, customer, staff_member, action):
    row = row_for(action, customer, staff_member)
    path, before = page_of(action, row.pk), state_of(row)

    found = {fault: answers(admin_site, path, sent) for fault, sent in faulty_forms(action, row)}
    preview = [*next(iter(faulty_forms(action, row)))[1], ("preview", "1")]
    shown = answers(admin_site, path, preview) if action.effect else (200, 200)

    assert found == {fault: (400 if fault.endswith("NUL") else 200, 422) for fault in found}  # no address has a NUL
    assert (len(found) >= 3, shown, state_of(row)) == (True, (200, 200), before)


@pytest.mark.parametrize("action", [one for one in ALL_ACTIONS if not one.creates_a_row], ids=key_of)
def test_a_wrong_row_is_not_found(admin_site, staff_member, action):
    good = [(name, GOOD[name]) for name in action.form.base_fields]
    before = AuditEvent.objects.count()

    found = {wrong: answers(admin_site, page_of(action, wrong), good) for wrong in WRONG_IDS}

    assert found == {wrong: (400, 400) if "%00" in wrong else (404, 404) for wrong in WRONG_IDS}
    assert AuditEvent.objects.count() == before


def test_an_action_of_another_name_is_not_found(admin_site, customer):
    names = ["nothing", "BAN", "-", "a" * 3000]

    found = {name: answers(admin_site, f"/admin/accounts/user/{customer.user.pk}/do/{name}/", []) for name in names}

    assert set(found.values()) == {(404, 404)}
    assert answers(admin_site, f"/admin/accounts/user/{customer.user.pk}/do/{quote('é')}/", []) == (302, 302)  # no name
