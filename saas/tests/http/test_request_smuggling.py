"""Request smuggling through a proxy that shares its connection to the service between clients.

``Connection: Upgrade`` once made the service end the request at its head: the body became the next request on the
connection, and its answer, or the next client's own request, reached the wrong client.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest

from saas.testing.servers.production import manage
from saas.tests.http.raw_client import Address, Exchange, exchange
from saas.tests.http.services import Edge, Service, Target, get

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.django_db,
    pytest.mark.xdist_group("edge"),
    pytest.mark.faults,
]
ATTACKS = 60
PLAIN = "{ \n admin off \n http_port {$HTTP_PORT} \n} \nhttp://hooks.example.com { \n reverse_proxy {$WEBHOOKS} \n}\n"
STAFF = """
import pyotp
from saas.accounts import second_factor
from saas.accounts.models import LoginSession
from saas.testing.factories.user_factories import create_staff_member
sam = create_staff_member("sam@example.net")
setup = second_factor.begin_totp_setup(sam.user)
login, _ = second_factor.confirm_totp_setup(LoginSession.objects.get(sid=sam.session_id), pyotp.TOTP(setup.secret).now())
print("token:" + login.access_token)
"""


@pytest.fixture(scope="module")
def webhooks(edge: Edge) -> Service:
    return edge.service("webhooks")


@pytest.fixture(scope="module", params=["a plain proxy", "the proxy of compose"])
def proxy(
    request: pytest.FixtureRequest, edge: Edge, webhooks: Service, tmp_path_factory: pytest.TempPathFactory
) -> Address:
    """A proxy that forwards every header, as an operator may have one, and ours, which removes ``Upgrade``."""
    plain = tmp_path_factory.mktemp("plain") / "Caddyfile"
    plain.write_text(PLAIN)
    started = edge.start_proxy(file=plain if request.param == "a plain proxy" else None)
    started.wait_until_ready(webhooks.host)
    return started.address


@pytest.fixture(scope="module")
def staff_token(edge: Edge) -> str:
    return manage(edge.environment, "shell", "-c", STAFF).rpartition("token:")[2].strip()


def attack(host: str, hidden: str, filling: int) -> list[bytes]:
    """Return a delivery whose body is a request of its own to a server that accepts the upgrade.

    The proxy forwards in blocks of 4 KB, so the body starts with empty lines up to the next block.
    """
    body = b"\r\n" * filling + hidden.encode()
    head = f"POST /api/webhooks/stripe HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body]


def hidden(first: str) -> str:
    """Return a request without an end, whose last header swallows the next request on the connection."""
    return f"{first} HTTP/1.1\r\nX-Swallowed: "


def attacked(proxy: Address, host: str, first: str, victim: bytes) -> Exchange:
    """Send the smuggled request, and right after it the victim's; return the victim's outcome."""
    exchange(proxy, *attack(host, hidden(first), 2_100), count=1)
    return exchange(proxy, victim)


def test_no_client_gets_the_answer_to_a_smuggled_request(proxy: Address, webhooks: Service) -> None:
    victim = get(webhooks.host, "/health")

    answers = [attacked(proxy, webhooks.host, "GET /api/poisoned", victim).text for _ in range(ATTACKS)]

    assert answers.count("200") == ATTACKS, f"{ATTACKS - answers.count('200')} of {ATTACKS} were poisoned"


def test_no_client_gets_it_under_concurrency(proxy: Address, webhooks: Service) -> None:
    victim = get(webhooks.host, "/health")

    with ThreadPoolExecutor(8) as pool:
        attack_once = partial(attacked, proxy, webhooks.host, "GET /api/poisoned", victim)
        answers = [outcome.text for outcome in pool.map(lambda _: attack_once(), range(ATTACKS))]

    assert answers.count("200") == ATTACKS, f"{ATTACKS - answers.count('200')} of {ATTACKS} were poisoned"


def test_no_smuggled_request_borrows_a_staff_token(
    edge: Edge, proxy: Address, webhooks: Service, staff_token: str
) -> None:
    event = delivered(edge)
    before = replays(edge, event)
    victim = get(webhooks.host, "/api/webhooks/logs?limit=1", f"Authorization: Bearer {staff_token}")

    answers = [
        attacked(proxy, webhooks.host, f"POST /api/webhooks/replay/{event}", victim).text for _ in range(ATTACKS)
    ]

    assert (answers.count("200"), replays(edge, event) - before) == (ATTACKS, 0)


def delivered(edge: Edge) -> str:
    """Deliver an event; return its id."""
    target: Target = edge.target("webhooks")
    body = target.post_body()
    lines = [
        f"POST {target.post_path} HTTP/1.1",
        f"Host: {target.host}",
        "Connection: close",
        *target.post_headers(body),
    ]
    answer = exchange(target.address, "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
    assert answer.statuses == (202,)
    return str(json.loads(body)["id"])


def replays(edge: Edge, event: str) -> int:
    with psycopg.connect(edge.environment["DATABASE_URL"]) as link:
        row = link.execute("SELECT replay_count FROM webhook_events_webhookevent WHERE external_id = %s", [event])
        return int(row.fetchone()[0])  # type: ignore[index]
