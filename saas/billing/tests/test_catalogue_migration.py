"""The migration that takes what does not exist out of the demo's plans."""

from importlib import import_module

import pytest
from django.apps import apps

from saas.billing.models import Plan

MIGRATION = import_module("saas.billing.migrations.0013_features_that_exist")
SEEDED = {
    "growth": ["email-support", "audit-log", "priority-support"],
    "scale": ["email-support", "audit-log", "priority-support", "dedicated-support", "sso"],
}


@pytest.fixture(autouse=True)
def old_plans(db: None) -> None:
    for plan, features in SEEDED.items():
        Plan.objects.filter(pk=plan).update(features=features)


def features() -> dict[str, list[str]]:
    return dict(Plan.objects.filter(pk__in=SEEDED).values_list("pk", "features"))


def test_features_that_do_not_exist_leave_the_plans_of_the_demo() -> None:
    MIGRATION.take_out(apps, None)

    assert features() == {
        "growth": ["email-support", "priority-support"],
        "scale": ["email-support", "priority-support", "dedicated-support"],
    }
    MIGRATION.put_back(apps, None)
    assert features() == SEEDED


@pytest.mark.parametrize(
    "edit", [{"name": "Team"}, {"price_cents": 8_900}, {"limits": {"seats": 30}}, {"currency": "eur"}]
)
def test_a_plan_that_was_edited_is_left_alone(edit: dict[str, object]) -> None:
    Plan.objects.filter(pk="growth").update(**edit)

    MIGRATION.take_out(apps, None)

    assert features() == {
        "growth": SEEDED["growth"],
        "scale": ["email-support", "priority-support", "dedicated-support"],
    }


def test_features_that_were_edited_are_left_alone() -> None:
    Plan.objects.filter(pk="growth").update(features=["sso"])

    MIGRATION.take_out(apps, None)

    assert features()["growth"] == ["sso"]
