"""A client's address over real sockets: only trusted proxies may name it."""

import json
import secrets
from itertools import count

import pytest

from saas.tests.http.raw_client import exchange, next_source_address
from saas.tests.http.services import Edge, Target

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.django_db,
    pytest.mark.xdist_group("edge"),
    pytest.mark.faults,
]
PEER = "the proxy's own"
_PROXIES = count(2)


def trusted_proxy() -> str:
    """Return the address of another trusted proxy each time: rate limits count by it if it names no client."""
    return f"127.0.0.{next(_PROXIES)}"


def address_seen(target: Target, source: str, *headers: str) -> str:
    """Register a customer from ``source``; return the address of the new session."""
    body = json.dumps({"email": f"{secrets.token_hex(8)}@example.net", "password": "correct horse battery staple"})
    lines = [
        "POST /api/auth/register HTTP/1.1",
        f"Host: {target.host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    (answer,) = exchange(
        target.address, "\r\n".join([*lines, "", body]).encode(), source=source, timeout_seconds=15
    ).answers
    assert answer.status == 201, answer
    return session_address(target, str(json.loads(answer.body)["access_token"]))


def session_address(target: Target, token: str) -> str:
    lines = [
        "GET /api/auth/sessions HTTP/1.1",
        f"Host: {target.host}",
        f"Authorization: Bearer {token}",
        "Connection: close",
    ]
    (answer,) = exchange(target.address, "\r\n".join([*lines, "", ""]).encode(), timeout_seconds=15).answers
    (session,) = json.loads(answer.body)["sessions"]
    return str(session["address"])


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        (["X-Forwarded-For: 198.51.100.1"], "198.51.100.1"),
        (["X-Forwarded-For: 198.51.100.7:40001"], "198.51.100.7"),
        (["X-Forwarded-For: 2001:db8::2"], "2001:db8::2"),
        (["X-Forwarded-For: [2001:db8:1::1]"], "2001:db8:1::1"),
        (["X-Forwarded-For: [2001:db8:2::1]:443"], "2001:db8:2::1"),
        (['X-Forwarded-For: "[2001:db8:3::1]:443"'], "2001:db8:3::1"),
        (["X-Forwarded-For: 192.0.2.1, 198.51.100.8"], "198.51.100.8"),
        (["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 198.51.100.9"], "198.51.100.9"),
        (["Forwarded: for=198.51.100.10"], "198.51.100.10"),
        (["Forwarded: for=192.0.2.1, for=198.51.100.11;proto=https"], "198.51.100.11"),
        (['Forwarded: for="[2001:db8:4::1]:443"'], "2001:db8:4::1"),
        (["X_Forwarded_For: 192.0.2.2"], PEER),
        (["X-Forwarded-For: 198.51.100.12", "X_Forwarded_For: 192.0.2.1"], "198.51.100.12"),
        (["X-Forwarded-For: nonsense"], PEER),
    ],
    ids=lambda value: " + ".join(value) if isinstance(value, list) else "",
)
def test_a_trusted_proxy_is_believed(edge: Edge, headers: list[str], address: str) -> None:
    proxy = trusted_proxy()

    assert address_seen(edge.target("product"), proxy, *headers) == (proxy if address == PEER else address)


STRANGERS_CLAIMS = [
    "X-Forwarded-For: 192.0.2.1",
    "Forwarded: for=192.0.2.1",
    "X_Forwarded_For: 192.0.2.1",
    "X-Real-IP: 192.0.2.1",
]


@pytest.mark.parametrize("way", ["direct", "proxied"])
@pytest.mark.parametrize("claim", STRANGERS_CLAIMS)
def test_a_strangers_claim_is_ignored(edge: Edge, way: str, claim: str) -> None:
    source = next_source_address()

    assert address_seen(edge.target("product", way), source, claim) == source


def test_a_strangers_claim_in_a_trailer_is_ignored(edge: Edge) -> None:
    target, source = edge.target("product"), next_source_address()
    body = json.dumps({"email": f"{secrets.token_hex(8)}@example.net", "password": "correct horse battery staple"})
    lines = ["POST /api/auth/register HTTP/1.1", f"Host: {target.host}", "Content-Type: application/json"]
    start = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""])

    outcome = exchange(
        target.address,
        f"{start}{len(body):x}\r\n{body}\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n".encode(),
        source=source,
    )

    assert outcome.text == "400"
