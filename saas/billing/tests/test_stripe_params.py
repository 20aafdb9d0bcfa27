"""The check of what is sent to Stripe finds what is wrong."""

import pytest

from saas.billing.tests.stripe_params import faults

SESSION = {"mode": "subscription", "customer": "cus_1", "line_items[0][price]": "p", "line_items[0][quantity]": "1"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"subscription_data[trial_period_days]": "14"}, None),
        ({"subscription_data[trial_period_days]": "soon"}, ".subscription_data.trial_period_days is 'soon', no int"),
        ({"subscription_data[trial_days]": "14"}, ".subscription_data.trial_days is unknown"),
        ({"mode": "gift"}, ".mode is 'gift', not one of ('payment', 'setup', 'subscription')"),
        ({"line_items[0][amount]": "5"}, ".line_items[0].amount is unknown"),
    ],
)
def test_a_checkout_is_checked_field_by_field(changes: dict[str, str], fault: str | None) -> None:
    found = faults("POST /v1/checkout/sessions", {**SESSION, **changes})

    assert found == ([f"POST /v1/checkout/sessions: {fault}"] if fault else [])


def test_a_call_that_nobody_knows_is_a_fault() -> None:
    assert faults("POST /v1/gifts", {}) == ["POST /v1/gifts is no call that the SDK's types are known of"]


def test_a_field_that_must_be_there_is_missed() -> None:
    assert faults("POST /v1/billing_portal/sessions", {}) == []
    assert faults("POST /v1/prices", {"unit_amount": "1900"}) == ["POST /v1/prices: .currency is missing"]
