"""Mails about a team's payments: to whom they go, and where they lead."""

import pytest
from django.utils import timezone

from saas.accounts.models import User
from saas.billing.models import Customer, Price
from saas.mail.models import Mail
from saas.teams.models import Team
from saas.teams.roles import Role
from saas.testing import mails
from saas.testing.factories import stripe_object_factories as whole
from saas.testing.factories import team_factories
from saas.testing.factories.stripe_event_factories import receive_event
from saas.testing.factories.user_factories import Person


@pytest.fixture
def team(customer: Person) -> Team:
    team = team_factories.create_team(customer)
    Customer.objects.create(team=team, provider="stripe", external_id="cus_1")
    Price.objects.create(provider="stripe", external_id="price_growth", plan_id="growth")
    receive_event("customer.subscription.created", whole.subscription())
    return team


def test_a_mail_about_a_team_names_it_and_leads_to_its_billing(team: Team) -> None:
    receive_event("customer.subscription.deleted", whole.subscription(status="canceled"), later=60)

    (mail,) = mails.deliver_queued_mails("subscription_canceled")
    assert f"http://localhost:8000/teams/{team.pk}/billing" in mail.body.split()
    assert "This is about the subscription of the team Engineering." in mail.body


def test_a_mail_about_a_deleted_team_does_not_lead_to_its_pages(team: Team) -> None:
    Team.objects.filter(pk=team.pk).update(deleted_at=timezone.now())

    receive_event("customer.subscription.deleted", whole.subscription(status="canceled"), later=60)

    (mail,) = mails.deliver_queued_mails("subscription_canceled")
    assert "http://localhost:8000/billing" in mail.body.split()
    assert "This is about the subscription of the team Engineering." in mail.body


def test_mails_go_to_another_owner_while_the_first_is_banned(team: Team) -> None:
    other = team_factories.add_member(team, Role.OWNER)
    team_factories.add_member(team, Role.ADMIN)
    User.objects.filter(pk=team.owner_id).update(status=User.Status.DISABLED)

    receive_event("invoice.payment_failed", whole.invoice(7900, status="open"), later=60)

    assert Mail.objects.get(template="payment_failed").recipient == other.user.email


def test_no_mail_is_sent_while_the_only_owner_is_banned(team: Team) -> None:
    team_factories.add_member(team, Role.ADMIN)
    User.objects.filter(pk=team.owner_id).update(status=User.Status.DISABLED)

    receive_event("invoice.payment_failed", whole.invoice(7900, status="open"), later=60)

    assert not Mail.objects.filter(template="payment_failed").exists()
