"""An action that does not suit a row is neither offered on its page nor taken by POST: over the whole table of actions."""

from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from admin_ops.actions import ALL_ACTIONS
from saas.accounts.models import Impersonation, LoginSession, User
from saas.accounts.privacy import account_deletion
from saas.audit.models import AuditEvent
from saas.billing import checkouts, overrides
from saas.billing.models import (
    Customer,
    EntitlementOverride,
    Invoice,
    Plan,
    Price,
    PriceMove,
    PromotionCode,
    Subscription,
)
from saas.mail.models import Mail
from saas.teams.models import Team
from saas.testing.factories import event_factories
from saas.testing.factories.team_factories import create_team, with_verified_email
from saas.webhook_events.models import WebhookEvent, WebhookPayload

pytestmark = pytest.mark.django_db

LAST_DAY = f"{timezone.now() + timedelta(days=20):%Y-%m-%d}"
FIELDS = {
    "reason": "asked", "text": "asked", "days": "3", "plan": "growth", "plan_id": "scale", "last_day": LAST_DAY,
    "what": "limit:seats", "value": "9", "when": "period_end", "amount": "1", "currency": "usd", "account": "usr_x",
    "minutes": "5", "effect_token": "",
}  # fmt: skip


def user_with(**values):
    def arrange(person, staff):
        User.objects.filter(pk=person.user.pk).update(**values)
        return User.objects.get(pk=person.user.pk)

    return arrange


banned, deleted, active = user_with(status="disabled"), user_with(status="deleted"), user_with()


def deleted_team(person, staff):
    team = create_team(with_verified_email(person))
    Team.objects.update(deleted_at=timezone.now())
    return team


def bought(person, **values):
    checkouts.start_checkout(person.user, plan_id="growth")
    event_factories.drain()
    Subscription.objects.update(**values)
    return Subscription.objects.get()


def paying(person, staff):
    return bought(person, status="active")


def canceled(person, staff):
    return bought(person, status="canceled")


def linked_customer(person, staff):
    return bought(person, status="active").customer


def unknown_customer(person, staff):
    return Customer.objects.create(user=person.user, provider="local")


def refunded_invoice(person, staff):
    bought(person, status="active")
    invoice = Invoice.objects.get()
    Invoice.objects.update(returned_cents=invoice.amount_paid_cents)
    return invoice


def ended_override(person, staff):
    row = overrides.comp_plan(
        person.user, plan_id="scale", expires_at=timezone.now() + timedelta(days=9), reason="x", by=staff.user
    )
    EntitlementOverride.objects.update(ended_at=timezone.now())
    return row


def ended_impersonation(person, staff):
    session = LoginSession.objects.get(sid=staff.session_id)
    return Impersonation.objects.create(
        session=LoginSession.objects.get(sid=person.session_id),
        staff_session=session,
        reason="x",
        ends_at=timezone.now() + timedelta(minutes=5),
        ended_at=timezone.now(),
    )


def event_without_payload(person, staff):
    bought(person)
    WebhookPayload.objects.all().delete()
    return WebhookEvent.objects.first()


def mail_with_a_link(person, staff):
    Mail.objects.filter(template="password_reset").delete()
    return Mail.objects.create(
        template="password_reset", recipient=person.user.email, status="sent", dedupe_key="reset", context={}
    )


def plan_on_sale(person, staff):
    return Plan.objects.get(pk="growth")


def archived_plan(person, staff):
    Plan.objects.filter(pk="growth").update(is_active=False)
    return Plan.objects.get(pk="growth")


def retired_price(person, staff):
    Price.objects.update(is_current=False)
    return Price.objects.filter(plan="growth").first()


def price_on_sale(person, staff):
    return Price.objects.filter(plan="growth", is_current=True).first()


def ended_price_move(person, staff):
    price = price_on_sale(person, staff)
    return PriceMove.objects.create(
        from_price=price, to_price=price, effective_at=timezone.now(), reason="x", ended_at=timezone.now()
    )


def ended_promotion_code(person, staff):
    return PromotionCode.objects.create(code="SPRING", percent_off=20, duration="once", is_active=False)


NOT_AVAILABLE = {
    "user.impersonate": banned,
    "user.extend-trial": active,
    "user.give-plan": deleted,
    "user.give-more": deleted,
    "user.send-reset": banned,
    "user.revoke-sessions": banned,
    "user.reset-mfa": active,
    "user.ban": banned,
    "user.unban": active,
    "user.delete": deleted,
    "user.roles": active,
    "team.give-plan": deleted_team,
    "team.give-more": deleted_team,
    "team.metadata": deleted_team,
    "user.metadata": deleted,
    "subscription.map-price": paying,
    "subscription.extend-trial": paying,
    "subscription.change-plan": canceled,
    "subscription.cancel": canceled,
    "subscription.give-discount": canceled,
    "subscription.resume": paying,
    "customer.link-customer": linked_customer,
    "customer.credit": unknown_customer,
    "invoice.refund": refunded_invoice,
    "entitlementoverride.end": ended_override,
    "impersonation.end": ended_impersonation,
    "webhookevent.replay": event_without_payload,
    "mail.resend": mail_with_a_link,
    "plan.change-price": archived_plan,
    "plan.archive": archived_plan,
    "plan.unarchive": plan_on_sale,
    "price.retire": retired_price,
    "price.move": price_on_sale,
    "pricemove.call-off": ended_price_move,
    "promotioncode.end": ended_promotion_code,
}
ALWAYS_AVAILABLE = {"promotioncode.create", "plan.edit", "user.note", "subscription.refresh", "invoice.refresh"}


def key_of(action):
    return f"{action.target.model._meta.model_name}.{action.name}"


def test_every_action_of_the_table_is_tried():
    assert {key_of(action) for action in ALL_ACTIONS} == NOT_AVAILABLE.keys() | ALWAYS_AVAILABLE


@pytest.mark.parametrize(
    "action", [action for action in ALL_ACTIONS if key_of(action) in NOT_AVAILABLE], ids=lambda action: key_of(action)
)
def test_what_does_not_suit_the_row_is_refused(admin_site, customer, staff_member, action):
    row = NOT_AVAILABLE[key_of(action)](replace(customer), staff_member)
    page = f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/"
    before = AuditEvent.objects.count()

    shown = admin_site.get(f"{page}change/")
    asked = admin_site.get(f"{page}do/{action.name}/")
    done = admin_site.submit_form(f"{page}do/{action.name}/", FIELDS)

    assert (shown.status_code, asked.status_code, done.status_code) == (200, 409, 409)
    assert f"{row.pk}/do/{action.name}/" not in shown.content.decode()
    assert (action.unavailable in unescape(done.content.decode()), AuditEvent.objects.count()) == (True, before)


# ── Further reasons of actions that have more than one ───────────────────────────────────────────────────────────────


def member_of_staff(person, staff):
    return User.objects.get(pk=staff.user.pk)


def banned_member_of_staff(person, staff):
    User.objects.filter(pk=staff.user.pk).update(status="disabled")
    return User.objects.get(pk=staff.user.pk)


def banned_while_leaving(person, staff):
    account_deletion.begin_deletion(person.user, by=staff.user, reason="asked")
    return banned(person, staff)


def deleted_customer(person, staff):
    linked_customer(person, staff)
    Customer.objects.update(deleted_at=timezone.now())
    return Customer.objects.get()


def open_invoice(person, staff):
    bought(person, status="active")
    Invoice.objects.update(status="open")
    return Invoice.objects.get()


def price_without_a_plan(person, staff):
    return Price(provider="local", external_id="price_x")


def replaced_price_without_a_plan(person, staff):
    return Price(provider="local", external_id="price_x", is_current=False)


@pytest.mark.parametrize(
    ("key", "arrange"),
    [
        ("user.impersonate", member_of_staff),
        ("user.give-plan", member_of_staff),
        ("user.give-more", member_of_staff),
        ("user.metadata", member_of_staff),
        ("user.delete", member_of_staff),
        ("user.delete", banned_while_leaving),
        ("user.roles", banned_member_of_staff),
        ("customer.credit", deleted_customer),
        ("invoice.refund", open_invoice),
        ("price.retire", price_without_a_plan),
        ("price.move", replaced_price_without_a_plan),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_action_is_unavailable_for_each_of_its_other_reasons(customer, staff_member, key, arrange):
    [action] = [one for one in ALL_ACTIONS if key_of(one) == key]

    assert not action.available_for(arrange(replace(customer), staff_member))
