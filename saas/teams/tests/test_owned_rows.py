"""What other modules keep for a team goes with it."""

import pytest
from django.apps import apps

from saas.teams import owned_rows
from saas.teams.models import Team

# Deleted by ``delete_team`` itself, or kept because they are about money.
OF_TEAMS_AND_BILLING = {
    ("Membership", "team"),
    ("Invitation", "team"),
    ("ApiKey", "team"),
    ("Customer", "team"),
    ("EntitlementOverride", "team"),
    ("BillingDetails", "team"),  # kept for a while, then deleted by its rule of retention
}


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
