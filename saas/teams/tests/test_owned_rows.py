"""What other modules keep for a team goes with it."""

import re

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from saas.billing.invoices.billed_to import save_billing_details
from saas.billing.models import BillingDetails, EntitlementOverride
from saas.teams import actions, owned_rows
from saas.teams.models import Team
from saas.testing.factories.team_factories import actor_for, create_team
from saas.testing.factories.user_factories import Person

# Deleted by ``delete_team`` itself, or kept because they are about money.
OF_TEAMS_AND_BILLING = {
    ("Membership", "team"),
    ("Invitation", "team"),
    ("ApiKey", "team"),
    ("Customer", "team"),
    ("EntitlementOverride", "team"),
    ("BillingDetails", "team"),  # kept for a while, then deleted by its rule of retention
}


def test_owned_rows_of_a_team_are_deleted_in_reverse_order(customer: Person, other: Person, monkeypatch) -> None:
    team, kept = create_team(customer), create_team(other)
    for one in (team, kept):
        save_billing_details(one, by=customer.user, tax_id_kind="eu_vat", tax_id="DE136695976")
    monkeypatch.setattr(owned_rows, "_owned", [(EntitlementOverride, "team"), (BillingDetails, "team")])

    with CaptureQueriesContext(connection) as queries:
        actions.delete_team(actor_for(team, customer))

    deleted = [table for query in queries for table in re.findall(r'^DELETE FROM "(\w+)"', query["sql"])]
    assert deleted[:2] == ["billing_billingdetails", "billing_entitlementoverride"]
    assert BillingDetails.objects.get().team == kept


@pytest.mark.guard
def test_every_row_of_a_team_is_deleted_with_it() -> None:
    referring = {
        (model.__name__, field.name)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model is Team
    }
    missing = referring - OF_TEAMS_AND_BILLING - {(model.__name__, field) for model, field in owned_rows.owned_models()}

    assert not missing, "\n".join(
        f"`{model}.{field}` is left when its team is deleted: add `register_owned_rows({model}, "
        f'"{field}")` to the app\'s personal_data.py.'
        for model, field in sorted(missing)
    )
