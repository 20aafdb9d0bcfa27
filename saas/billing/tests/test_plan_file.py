"""The catalogue as a file: what is exported imports again, and what is wrong is named with its line."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from saas.audit.models import AuditEvent
from saas.billing.catalogue import plans
from saas.billing.catalogue.prices import change_price
from saas.billing.models import Plan, Price, PriceTerms
from saas.errors import Invalid
from saas.testing.factories import stripe_object_factories as whole
from saas.webhook_events.actions import append_event
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db

TEAM = """
[plans.team]
name = "Team \\"A\\""
description = "For teams"
features = ["email-support", "sso"]
limits = { teams = 3, seats = "unlimited" }
trial_days = 14
trial_needs_card = false
order = 5
visible = false

[[plans.team.prices]]
currency = "eur"
interval = "month"
amount = 8.5
per_unit = true
included_quantity = 3

[[plans.team.prices]]
currency = "kwd"
interval = "year"
amount = 12.345
"""


def catalogue() -> tuple[Any, ...]:
    return (list(Plan.objects.order_by("id").values()), list(Price.objects.order_by("pk").values()))


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str) -> str:
        (tmp_path / "plans.toml").write_text(text, encoding="utf-8")
        return str(tmp_path / "plans.toml")

    return write


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("plans", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_a_file_makes_plans_and_prices(file) -> None:
    told = run("import", file(TEAM))

    plan = Plan.objects.get(pk="team")
    assert (plan.name, plan.limits, plan.trial_days) == ('Team "A"', {"teams": 3, "seats": None}, 14)
    assert (plan.is_visible, plan.trial_needs_card, plan.position, plan.price_cents) == (False, False, 5, None)
    assert [PriceTerms.of(row) for row in plan.prices.order_by("currency")] == [
        PriceTerms("eur", "month", 850, is_per_unit=True, included_quantity=3),
        PriceTerms("kwd", "year", 12_345),
    ]
    assert told == [
        'team: new plan Team "A"',
        "team: 8.50 EUR a month for each seat (version 1)",
        "team: 12.345 KWD a year (version 1)",
    ]
    assert AuditEvent.objects.filter(action__in=["plan.created", "price.changed"], target="team").count() == 3


def test_a_second_import_changes_nothing(file) -> None:
    run("import", file(TEAM))
    before = catalogue()

    assert run("import", file(TEAM)) == ["Nothing changes."]
    assert catalogue() == before


def test_what_was_exported_imports_without_a_change(file) -> None:
    run("import", file(TEAM))
    plans.archive_plan("starter", by="system")
    before, exported = catalogue(), "\n".join(run("export"))

    assert run("import", file(exported)) == ["Nothing changes."]
    assert catalogue() == before
    assert 'name = "Team \\"A\\""' in exported
    assert "amount = 12.345" in exported


def test_an_export_leaves_out_what_no_module_declares_any_more(file) -> None:
    run("import", file(TEAM))
    Plan.objects.filter(pk="team").update(features=["sso", "gone"], limits={"teams": 3, "gone": 1})

    exported = run("export")

    assert 'features = ["sso"]' in exported
    assert "limits = { teams = 3 }" in exported
    run("import", file("\n".join(exported)))
    assert Plan.objects.get(pk="team").limits == {"teams": 3}


def test_a_price_that_a_file_cannot_say_is_left_as_it_is(file) -> None:
    run("import", file(TEAM))
    tiered = Price.objects.get(plan="team", currency="kwd")
    append_event(whole.event("price.created", whole.price(tiered.external_id)), source=WebhookEvent.Source.DELIVERY)
    Price.objects.filter(pk=tiered.pk).update(unit_amount_cents=None)

    assert run("import", file("\n".join(run("export")))) == ["Nothing changes."]
    assert Price.objects.get(plan="team", currency="kwd").is_current


def test_a_price_that_is_not_told_yet_makes_room_for_those_of_the_file(file) -> None:
    run("import", file(TEAM))
    Price.objects.create(provider="local", external_id="price_id_only", plan_id="team", is_current=True)

    run("import", file(TEAM))

    assert not Price.objects.get(external_id="price_id_only").is_current


def test_an_export_fills_another_database(file) -> None:
    run("import", file(TEAM))
    exported = "\n".join(run("export"))
    Price.objects.all().delete()
    Plan.objects.all().delete()

    run("import", file(exported))

    assert "\n".join(run("export")) == exported


def test_a_dry_run_says_what_would_change_and_changes_nothing(file) -> None:
    before = catalogue()

    told = run("import", file('[plans.growth]\nname = "Team"\n'), "--dry-run")

    assert told == ["would change: growth: name changed from 'Growth' to 'Team'"]
    assert catalogue() == before


def test_prices_that_the_file_leaves_out_sell_no_longer(file) -> None:
    change_price("growth", PriceTerms("eur", "month", 7_500), by="system")

    told = run("import", file('[plans.growth]\n[[plans.growth.prices]]\ncurrency = "usd"\namount = 99\n'))

    assert told[0] == "growth: 99.00 USD a month (version 2)"
    assert told[1].startswith("growth: sold no longer by price_local_growth_eur_month_1")
    assert [(row.currency, row.unit_amount_cents) for row in Price.objects.filter(plan="growth", is_current=True)] == [
        ("usd", 9_900)
    ]
    assert Plan.objects.get(pk="growth").price_cents == 9_900


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[plans.growth]\nname = "G"\nlimitz = 3\n', "line 3: plan growth: there is no 'limitz'."),
        (
            '[plans.starter]\nname = "S"\n\n[plans.growth]\nlimits = { seats = 3, projects = 5 }\n',
            "line 5: plan growth: limits: There is no limit 'projects'.",
        ),
        ("[plans.growth]\n[plans.growth.limits]\nseats = -1\n", "line 3: plan growth: limits: The limit 'seats'"),
        (
            '[plans.growth]\nfeatures = ["telepathy"]\n',
            "line 2: plan growth: features: There is no feature 'telepathy'.",
        ),
        ('[plans.growth]\nname = ""\n', "line 2: plan growth: name: Give a text"),
        ("[plans.growth]\ntrial_days = 731\n", "line 2: plan growth: trial_days: Give a number of days"),
        (
            "[plans.growth]\n[[plans.growth.prices]]\namount = 8.505\n",
            "line 3: plan growth: Decimal('8.505') is no amount of usd",
        ),
        ('[plans.growth]\n[[plans.growth.prices]]\ncurrency = "jpy"\namount = 8.5\n', "line 4: plan growth"),
        (
            '[plans.growth]\n[[plans.growth.prices]]\ncurrency = "zzz"\namount = 8\n',
            "line 3: plan growth: there is no currency",
        ),
        (
            '[plans.growth]\n[[plans.growth.prices]]\namount = 8\nintervall = "month"\n',
            "line 4: plan growth: a price has no",
        ),
        ('[plans.growth]\n[[plans.growth.prices]]\namount = 8\ninterval = "week"\n', "line 4: plan growth: interval"),
        ("[plans.growth]\n[[plans.growth.prices]]\namount = 8\n[[plans.growth.prices]]\namount = 9\n", "named twice"),
        ("[plan.growth]\n", "line 1: there is no 'plan'."),
        ("[plans.growth\n", "It is not TOML: "),
        ('[plans."Not An Id"]\nname = "x"\n', "plan Not An Id: Use up to 32 small letters"),
        ("[plans.new]\norder = 1\n", "plan new: Give a text of up to 100 characters."),
    ],
)
def test_a_fault_is_named_with_its_line_and_changes_nothing(file, text: str, sentence: str) -> None:
    before = catalogue()
    good = '[plans.scale]\nname = "Changed"\n'

    with pytest.raises(CommandError) as refused:
        run("import", file(text + good if text != "[plans.growth\n" else text))

    assert sentence in str(refused.value)
    assert "Nothing was changed." in str(refused.value)
    assert catalogue() == before


def test_every_fault_of_a_file_is_named(file) -> None:
    with pytest.raises(CommandError) as refused:
        run("import", file("[plans.growth]\nnome = 1\ntrial_days = -1\n"))

    assert [line.partition(":")[0] for line in str(refused.value).splitlines()][:2] == ["line 2", "line 3"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.toml cannot be read"):
        run("import", str(tmp_path / "none.toml"))


def test_editing_a_plan_is_audited_with_what_was_before() -> None:
    before = plans.edit_plan("growth", by="usr_1", reason="More seats.", limits={"seats": 30}, name="Growth")

    assert before == {"limits": {"teams": 10, "seats": 25, "api_keys": 10}}
    event = AuditEvent.objects.get(action="plan.edited")
    assert (event.actor, event.target, event.reason) == ("usr_1", "growth", "More seats.")
    assert event.data["after"] == {"limits": {"seats": 30}}


@pytest.mark.parametrize("values", [{"limits": {"projects": 1}}, {"features": ["telepathy"]}, {"colour": "red"}])
def test_what_is_not_declared_is_refused_where_it_is_written(values: dict[str, Any]) -> None:
    before = catalogue()

    with pytest.raises(Invalid):
        plans.edit_plan("growth", by="system", **values)
    with pytest.raises(Invalid):
        plans.create_plan("other", by="system", name="Other", **values)

    assert catalogue() == before


def test_a_plan_is_made_once() -> None:
    with pytest.raises(plans.PlanExists):
        plans.create_plan("growth", by="system", name="Again")
