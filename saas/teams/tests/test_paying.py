"""A team that pays for itself."""

from datetime import timedelta

from django.utils import timezone

from saas.billing.checkouts import start_checkout
from saas.billing.invoices.billed_to import save_billing_details
from saas.billing.models import BillingDetails, Customer, LocalObject
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers.local import test_clock
from saas.billing.sync import profiles
from saas.operations.retention import passes
from saas.teams.models import Team
from saas.testing import mails
from saas.testing.factories import team_factories
from saas.testing.factories.user_factories import Person


def test_a_teams_failed_payment_is_told_to_the_owner_who_answers_for_it(customer: Person) -> None:
    team = team_factories.create_team(customer)
    add_payment_method(
        customer.user, owner=team, type="card", provider="visa", last4="0341", exp_month=12, exp_year=2099
    )
    start_checkout(customer.user, plan_id="growth", owner=team)

    test_clock.advance_and_process(timedelta(days=32))

    assert [mail.to for mail in mails.deliver_queued_mails("payment_failed")] == [[customer.user.email]]


def test_a_teams_billing_details_are_sent_for_the_teams_customer_only(customer: Person) -> None:
    team = team_factories.create_team(customer)
    start_checkout(customer.user, plan_id="growth")
    start_checkout(customer.user, plan_id="growth", owner=team)

    save_billing_details(team, by=customer.user, tax_id_kind="eu_vat", tax_id="DE136695976")

    assert [profiles.send_changed_profiles(), profiles.send_changed_profiles()] == [1, 0]
    told = {row.pk: row.data.get("tax_ids") for row in LocalObject.objects.of_kind("customer")}
    [ours, teams] = [Customer.objects.for_owner(owner).get().external_id for owner in (customer.user, team)]
    assert told == {ours: None, teams: [{"type": "eu_vat", "value": "DE136695976"}]}


def test_the_billing_details_of_a_team_that_ended_go_with_its_rows(customer: Person) -> None:
    team = team_factories.create_team(customer)
    save_billing_details(team, by=customer.user, tax_id_kind="eu_vat", tax_id="DE136695976")
    Team.objects.filter(pk=team.pk).update(deleted_at=timezone.now() - timedelta(days=399))
    passes.delete_expired(only_due=False)
    assert BillingDetails.objects.exists()

    Team.objects.filter(pk=team.pk).update(deleted_at=timezone.now() - timedelta(days=401))
    passes.delete_expired(only_due=False)

    assert not BillingDetails.objects.exists()
