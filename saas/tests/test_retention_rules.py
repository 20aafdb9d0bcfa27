"""That of every table it is said how long its rows are kept."""

import pytest
from django.apps import apps
from django.db.models import CASCADE, Model

from saas.billing.sync.rebuild import KINDS
from saas.operations.retention.rules import deletion_rules, dependent_tables, kept_tables
from saas.webhook_events.retention import projected_prefixes

pytestmark = pytest.mark.guard

RULES = {rule.model for rule in deletion_rules()}


def tables() -> list[type[Model]]:
    """All that are installed, those of Django and of many-to-many fields too."""
    return [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]


@pytest.mark.parametrize("model", tables(), ids=lambda model: model._meta.label)
def test_every_table_has_a_rule_or_a_reason_to_stay(model: type[Model]) -> None:
    found = [model in RULES, model in kept_tables(), model in dependent_tables()]

    assert found.count(True) == 1, (
        f"`{model._meta.label}` has {found.count(True)} rules of retention: say once in the retention.py of its app when its "
        "rows are deleted (`delete_when`), with which other rows (`delete_with`), or why they stay (`keep`)."
    )


def test_no_rule_is_about_a_table_that_is_not_there() -> None:
    assert (RULES | set(kept_tables()) | set(dependent_tables())) <= set(tables())


@pytest.mark.parametrize("reason", sorted(set(kept_tables().values())))
def test_the_reason_for_keeping_rows_is_a_sentence(reason: str) -> None:
    assert reason.endswith(".")
    assert len(reason.split()) > 3


@pytest.mark.parametrize(("model", "foreign_keys"), dependent_tables().items(), ids=str)
def test_what_goes_with_another_row_really_does(model: type[Model], foreign_keys: tuple[str, ...]) -> None:
    assert {model._meta.get_field(name).remote_field.on_delete for name in foreign_keys} == {CASCADE}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.prefix)
def test_the_payloads_of_everything_that_is_rebuilt_from_them_are_kept(kind) -> None:
    assert any(kind.prefix.startswith(prefix) for prefix in projected_prefixes())
