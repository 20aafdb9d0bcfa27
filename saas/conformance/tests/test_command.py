"""``manage.py conformance`` as a team runs it that ported a service: on an address, by HTTP, with an exit code."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from saas.conformance.contract import load_contract
from saas.testing.servers.stack import Stack

PRODUCT, PARITY = ("product", "/api", "snake"), ("parity", "", "camel")


@pytest.mark.long
@pytest.mark.parametrize(("here", "there"), [(PRODUCT, PARITY), (PARITY, PRODUCT)], ids=["product", "parity"])
def test_the_running_services_conform(
    shared_stack: Stack, here: tuple[str, str, str], there: tuple[str, str, str]
) -> None:
    urls = [shared_stack.urls[service] + prefix for service, prefix, _ in (here, there)]
    peer = ["--peer", urls[1], "--peer-convention", there[2]]
    done = shared_stack.manage("conformance", urls[0], "--convention", here[2], *peer, "--json")

    told = json.loads(done.stdout)
    assert {rule["id"]: rule["faults"] for rule in told["rules"] if not rule["holds"]} == {}
    assert (done.returncode, told["passed"], told["failed"]) == (0, len(load_contract().rules), 0)


@pytest.mark.slow
def test_a_failing_service_gives_an_exit_code_and_a_table_of_reasons(shared_stack: Stack) -> None:
    done = shared_stack.manage(
        "conformance", shared_stack.urls["admin_ops"] + "/api", "--only", "me", "--only", "health"
    )

    assert done.returncode == 1
    assert "1 of 2 rules hold" in done.stdout
    assert "kim could not be registered (status 404)" in " ".join(done.stdout.replace("│", " ").split())


def test_a_service_that_does_not_answer_fails_every_rule() -> None:
    out = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("conformance", "http://127.0.0.1:9", "--only", "health", "--json", stdout=out)

    assert ended.value.code == 1
    assert json.loads(out.getvalue())["failed"] == 1


def test_the_rules_are_listed_and_an_unknown_one_is_refused() -> None:
    out = StringIO()
    call_command("conformance", "--list", stdout=out)

    assert [line.split()[0] for line in out.getvalue().splitlines()] == [rule.id for rule in load_contract().rules]
    with pytest.raises(CommandError, match="There is no rule nonsense"):
        call_command("conformance", "http://127.0.0.1:9", "--only", "nonsense")


def test_every_rule_has_a_name_and_a_sentence_of_its_own() -> None:
    assert len({rule.id for rule in load_contract().rules}) == len({rule.says for rule in load_contract().rules})
    assert len({rule.id for rule in load_contract().rules}) == len(load_contract().rules)
    assert all(rule.says.endswith(".") for rule in load_contract().rules)
