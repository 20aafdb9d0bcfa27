"""The kit against our own services, as they answer here."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from saas.accounts.models import User
from saas.conformance.contract import load_contract
from saas.conformance.runner import ServiceUnderTest, run_rules
from saas.testing.servers.in_process import service_transport

PRODUCT, PARITY = ("product", "http://localhost/api", "snake"), ("parity", "http://localhost", "camel")
CLAIMS = [PRODUCT, PARITY, ("parity", "http://localhost/api", "camel")]

Claiming = Callable[[tuple[str, str, str]], ServiceUnderTest]


@pytest.fixture
def claiming(db: None) -> Iterator[Claiming]:
    clients = []

    def claim(named: tuple[str, str, str]) -> ServiceUnderTest:
        service, url, convention = named
        clients.append(httpx.Client(base_url=url, transport=service_transport(service)))
        return ServiceUnderTest(clients[-1], convention)

    yield claim
    for client in clients:
        client.close()


@pytest.mark.parametrize("named", CLAIMS, ids=" ".join)
def test_a_service_keeps_every_rule_of_the_contract(claiming: Claiming, named: tuple[str, str, str]) -> None:
    results = list(run_rules(claiming(named)))

    assert {result.rule.id: (result.step, result.faults) for result in results if not result.holds} == {}
    assert len(results) == sum(not rule.needs_peer for rule in load_contract().rules)


@pytest.mark.parametrize(("here", "there"), [(PRODUCT, PARITY), (PARITY, PRODUCT)], ids=["product", "parity"])
def test_a_session_of_one_service_is_one_of_the_other(
    claiming: Claiming, here: tuple[str, str, str], there: tuple[str, str, str]
) -> None:
    shared = {rule.id for rule in load_contract().rules if rule.needs_peer}
    results = list(run_rules(claiming(here), peer=claiming(there), only=shared))

    assert {result.rule.id: result.faults for result in results} == {rule: [] for rule in shared}


def test_a_run_leaves_nobody_behind_who_could_log_in(claiming: Claiming) -> None:
    list(run_rules(claiming(PRODUCT), only={"register", "two-people", "password-change"}))

    assert User.objects.count() == 3
    assert not User.objects.filter(status=User.Status.ACTIVE).exists()


def test_a_service_in_the_other_convention_fails(claiming: Claiming) -> None:
    service, url, _ = PRODUCT
    results = list(run_rules(claiming((service, url, "camel")), only={"register", "profile", "health"}))

    assert {result.rule.id: result.holds for result in results} == {"register": False, "profile": False, "health": True}
