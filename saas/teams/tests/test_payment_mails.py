"""Mails about a team's payments: to whom they go, and where they lead."""

from typing import Any

import pytest
from django.utils import timezone

from saas.accounts.models import User
from saas.billing.models import Customer, Price
from saas.mail.models import Mail
from saas.teams.models import Team
from saas.teams.roles import Role
from saas.testing import mails
from saas.testing.factories import event_factories, team_factories
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories.user_factories import Person
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent


@pytest.fixture
def team(customer: Person) -> Team:
    team = team_factories.create_team(customer)
    Customer.objects.create(team=team, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")
    tell("customer.subscription.created", whole.subscription())
    return team


def tell(type: str, thing: dict[str, Any], *, later: int = 0) -> None:
    id = f"evt_{WebhookEvent.objects.count()}"
    append_event(whole.event(type, thing, id=id, at=whole.AT + later), source=WebhookEvent.Source.DELIVERY)
    event_factories.drain()


def test_a_mail_about_a_team_names_it_and_leads_to_its_billing(team: Team) -> None:
    tell("customer.subscription.deleted", whole.subscription(status="canceled"), later=60)

    (mail,) = mails.deliver_queued_mails("subscription_canceled")
    assert f"http://localhost:8000/teams/{team.pk}/billing" in mail.body.split()
    assert "This is about the subscription of the team Engineering." in mail.body


def test_a_mail_about_a_deleted_team_does_not_lead_to_its_pages(team: Team) -> None:
    Team.objects.filter(pk=team.pk).update(deleted_at=timezone.now())

    tell("customer.subscription.deleted", whole.subscription(status="canceled"), later=60)

    (mail,) = mails.deliver_queued_mails("subscription_canceled")
    assert "http://localhost:8000/billing" in mail.body.split()
    assert "This is about the subscription of the team Engineering." in mail.body


def test_another_owner_is_written_to_while_the_first_is_banned(team: Team) -> None:
    other = team_factories.add_member(team, Role.OWNER)
    team_factories.add_member(team, Role.ADMIN)
    User.objects.filter(pk=team.owner_id).update(status=User.Status.DISABLED)

    tell("invoice.payment_failed", whole.invoice(7900, status="open"), later=60)

    assert Mail.objects.get(template="payment_failed").recipient == other.user.email


def test_nobody_else_is_written_to_where_the_only_owner_is_banned(team: Team) -> None:
    team_factories.add_member(team, Role.ADMIN)
    User.objects.filter(pk=team.owner_id).update(status=User.Status.DISABLED)

    tell("invoice.payment_failed", whole.invoice(7900, status="open"), later=60)

    assert not Mail.objects.filter(template="payment_failed").exists()
