"""That the register of personal data is complete."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import models

from saas.accounts.models import LoginSession, User
from saas.accounts.privacy.data_sources import Exempt, personal_data_sources
from saas.billing.models import Customer

pytestmark = pytest.mark.guard

PEOPLE = (User, LoginSession, Customer)  # a row of these is one person's

# What a column that names, or finds, a person is called.
TELLING = {"email", "email_canonical", "recipient", "actor", "act_as", "target", "address", "agent", "full_name"}
TELLING |= {"display_name", "user_id", "username", "plain_address"}

# The address is the payment provider's, or a machine's.
NOBODYS = {("WebhookDelivery", "address")}


def telling_fields() -> Iterator[tuple[str, str]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            leads_to_person = field.is_relation and field.related_model in PEOPLE
            is_text = field.get_internal_type() == "CharField" and not field.is_relation
            if leads_to_person or (is_text and field.name in TELLING):
                yield model.__name__, field.name


def registered() -> set[tuple[str, str]]:
    return {(holding.model.__name__, link) for holding in personal_data_sources() for link in holding.links}


def test_every_column_that_leads_to_a_person_is_in_the_register() -> None:
    missing = set(telling_fields()) - registered() - NOBODYS

    assert not missing, "\n".join(
        f"`{model}.{field}` is not in the personal-data register: add it to a `register_personal_data({model}, …)` in the "
        "app's personal_data.py."
        for model, field in sorted(missing)
    )


def test_the_register_names_no_column_that_is_not_there() -> None:
    named = [(holding.model, link) for holding in personal_data_sources() for link in holding.links]

    assert [link for model, link in named if link not in {field.name for field in model._meta.fields}] == []


def test_each_part_of_the_export_has_a_name_of_its_own() -> None:
    names = [holding.name for holding in personal_data_sources()]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("holding", personal_data_sources(), ids=lambda holding: holding.name)
def test_what_is_not_told_or_not_erased_has_a_reason(holding) -> None:
    reasons = [part.reason for part in (holding.export, holding.erase) if isinstance(part, Exempt)]

    assert all(reason.endswith(".") for reason in reasons)


def test_a_new_kind_of_link_would_be_noticed() -> None:
    assert ("Profile", "user") in set(telling_fields())
    assert ("Mail", "recipient") in set(telling_fields())
    assert issubclass(User, models.Model)
