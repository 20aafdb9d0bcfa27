"""A team that pays for itself."""

from datetime import timedelta

from saas.billing import local_time
from saas.billing.checkouts import start_checkout
from saas.billing.payment_methods import add_payment_method
from saas.testing import mails, teams
from saas.testing.factories import Person


def test_a_teams_failed_payment_is_told_to_the_owner_who_answers_for_it(kim: Person) -> None:
    team = teams.found_team(kim)
    add_payment_method(kim.user, owner=team, type="card", provider="visa", last4="0341", exp_month=12, exp_year=2099)
    start_checkout(kim.user, plan_id="growth", owner=team)

    local_time.advance(timedelta(days=32))

    assert [mail.to for mail in mails.delivered("payment_failed")] == [[kim.user.email]]
