"""A team that pays for itself."""

from datetime import timedelta

from saas.billing.checkouts import start_checkout
from saas.billing.payment_methods import add_payment_method
from saas.billing.providers.local import test_clock
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
