"""Whose bucket a request is counted in, and whose address the trail shows, behind proxies and without (T60)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from saas.accounts.models import LoginSession
from saas.audit.models import AuditEvent
from saas.ip_addresses import Subnet, containing_subnets, site_subnet, subscriber_subnet
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person
from saas.testing.openapi import SERVICES

ROOT = Path(__file__).resolve().parents[3]
PEER = "198.51.100.7"
FORGED = ["X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"]


@pytest.fixture(autouse=True)
def _unscaled(settings) -> Iterator[None]:
    """A window that ended in the middle of a test would forgive what the test counts."""
    settings.RATE_LIMIT_SCALE = 1
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.fixture
def one_proxy(settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    settings.TRUSTED_PROXY_CIDRS = ["127.0.0.0/8", "::1/128"]


def register(product: ServiceClient, number: int, headers: dict[str, str]) -> int:
    """Five are looked at in a minute; too short a password is the cheapest refusal."""
    body = {"email": f"nobody{number}@example.net", "password": "short"}
    return int(product.post("/api/auth/register", body, headers=headers).status_code)


def log_in(product: ServiceClient, person: Person, headers: dict[str, str]) -> Any:
    return product.post("/api/auth/login", {"email": person.user.email, "password": PASSWORD}, headers=headers)


@pytest.mark.parametrize("name", ["X-Forwarded-For", *FORGED])
def test_without_a_proxy_no_header_changes_the_bucket(product, db, name: str) -> None:
    statuses = [register(product, number, {name: f"203.0.113.{number}"}) for number in range(6)]

    assert statuses == [422] * 5 + [429]


@pytest.mark.usefixtures("one_proxy")
@pytest.mark.parametrize("forged", ["203.0.113.{0}", "203.0.113.{0}, 203.0.113.9", "{0}, ,x", "::{0}"])
def test_behind_a_proxy_what_the_caller_claims_herself_changes_no_bucket(product, db, forged: str) -> None:
    headers = [{"X-Forwarded-For": f"{forged.format(number)}, {PEER}"} for number in range(6)]

    assert [register(product, number, sent) for number, sent in enumerate(headers)] == [422] * 5 + [429]


@pytest.mark.usefixtures("one_proxy")
def test_behind_a_proxy_each_caller_has_a_bucket(product, db) -> None:
    statuses = [register(product, number, {"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(6)]

    assert statuses == [422] * 6


@pytest.mark.usefixtures("one_proxy")
def test_a_header_from_a_peer_that_is_no_proxy_of_ours_is_not_believed(product, db) -> None:
    product.defaults["REMOTE_ADDR"] = PEER
    statuses = [register(product, number, {"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(6)]

    assert statuses == [422] * 5 + [429]


@pytest.mark.parametrize("header", ["X-Forwarded-For", *FORGED])
def test_the_trail_and_the_list_of_devices_show_the_true_peer(product, customer: Person, header: str) -> None:
    product.defaults["REMOTE_ADDR"] = PEER

    session = log_in(product, customer, {header: "203.0.113.1"}).json()["session_id"]

    assert AuditEvent.objects.get(action="session.opened", target=session).address == PEER
    assert LoginSession.objects.get(sid=session).address == PEER


def test_a_long_user_agent_is_cut_to_what_is_stored(product, customer: Person) -> None:
    session = log_in(product, customer, {"User-Agent": "x" * 300 + "y"}).json()["session_id"]

    assert LoginSession.objects.get(sid=session).agent == "x" * 300


@pytest.mark.usefixtures("one_proxy")
def test_behind_a_proxy_the_trail_shows_whom_the_proxy_saw(product, customer: Person) -> None:
    session = log_in(product, customer, {"X-Forwarded-For": f"203.0.113.1, {PEER}"}).json()["session_id"]

    assert AuditEvent.objects.get(action="session.opened", target=session).address == PEER


def test_an_ipv4_caller_is_the_same_on_a_socket_of_both_families(product, customer: Person) -> None:
    product.defaults["REMOTE_ADDR"] = f"::ffff:{PEER}"

    session = log_in(product, customer, {}).json()["session_id"]

    assert LoginSession.objects.get(sid=session).address == PEER
    assert (
        subscriber_subnet("::ffff:192.0.2.1") == subscriber_subnet("192.0.2.1") != subscriber_subnet("::ffff:192.0.2.2")
    )


@pytest.mark.parametrize(
    ("address", "own", "near"),
    [
        ("192.0.2.1", "192.0.2.1/32", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_a_subscriber_subnet_is_32_or_64_bits_and_a_site_24_or_48(address: str, own: str, near: str) -> None:
    assert (subscriber_subnet(address), site_subnet(address)) == (own, near)


# ── Wider subnets (T90) ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("192.0.2.1", [("192.0.2.1/32", 1), ("192.0.2.0/24", 5)]),
        ("::ffff:192.0.2.1", [("192.0.2.1/32", 1), ("192.0.2.0/24", 5)]),
        ("2001:db8:1:203::4", [("2001:db8:1:203::/64", 1), ("2001:db8:1:200::/56", 2), ("2001:db8:1::/48", 5)]),
        ("unknown", [("unknown", 1)]),
    ],
)
def test_an_address_is_counted_with_the_networks_around_it(address: str, networks: list[tuple[str, int]]) -> None:
    assert containing_subnets(address) == tuple(Subnet(*network) for network in networks)


def guess(product: ServiceClient, address: str, number: int) -> int:
    product.defaults["REMOTE_ADDR"] = address
    body = {"email": f"nobody{number}@example.net", "password": "not the password"}
    return int(product.post("/api/auth/login", body).status_code)


@pytest.mark.parametrize(
    ("addresses", "allowed"),
    [
        ("2001:db8:1:{0:x}::1", 150),  # a /64 each, of many /56s of one /48
        ("2001:db8:1:2{0:02x}::1", 60),  # a /64 each, of one /56
        ("203.0.113.{0}", 150),  # an address each, of one /24
    ],
)
def test_limits_count_the_neighbourhood_too(product, db, addresses: str, allowed: int) -> None:
    """Thirty a minute are looked at from one subscriber."""
    spread = 0x100 if allowed == 150 and ":" in addresses else 1
    statuses = [guess(product, addresses.format(number * spread), number) for number in range(200)]

    assert statuses == [401] * allowed + [429] * (200 - allowed)


def test_a_refused_caller_uses_up_nothing_of_the_wider_subnet(product, db) -> None:
    mine = [guess(product, "2001:db8:1:2::1", number) for number in range(100)]
    next_door = guess(product, "2001:db8:1:3::1", 100)

    assert (mine.count(401), next_door) == (30, 401)


def test_every_limit_by_address_is_counted_by_the_one_function() -> None:
    """Nobody makes a key of an address by other means."""
    packages = ("saas", *SERVICES)
    sources = [path for package in packages for path in (ROOT / package).rglob("*.py") if "tests" not in path.parts]
    keys = [
        path for path in sources if re.search(r"ip_network\(|\bsubscriber_subnet\(|\bsite_subnet\(", path.read_text())
    ]

    assert {str(path.relative_to(ROOT)) for path in keys} == {
        "saas/ip_addresses.py",
        "saas/api/rate_limits.py",
        "saas/api/client_address.py",  # whether a peer is one of our proxies
        "saas/settings/base_urls.py",
        "saas/settings/production.py",
        "saas/accounts/sessions/logins.py",  # where a device is
    }
