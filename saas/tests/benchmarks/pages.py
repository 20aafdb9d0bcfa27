"""Pages for people beside the API calls that they stand on, of one customer, in the same session."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import httpx

from saas.tests.benchmarks.environment import Environment, Server
from saas.tests.benchmarks.processes import HOST
from saas.tests.benchmarks.read_requests import product, register

REPETITIONS = 20  # of each page and call in each round, in turns
_PLAN = "starter"


@dataclass(frozen=True)
class PageTime:
    """``ratio`` is the median of the rounds' ratios of medians."""

    design: str
    calls: int  # of the API, which a page shows together
    page_ms: float
    calls_ms: float
    ratio: float
    page_kb: float


def run(environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None]) -> list[PageTime]:
    environment.run_django_admin("saas.settings.product", "seed")
    server = product(environment)
    with closing(_customer(server)) as client:
        team = _make_team(client)
        pages = calls_by_page(team)
        for page, calls in pages.items():  # fills caches, and shows an address that is gone before anything is timed
            _median_times(client, page, calls, repetitions=1)
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for number in range(rounds):
            for page, calls in pages.items():
                found[page].append(_median_times(client, page, calls, repetitions=REPETITIONS))
            say(f"round {number + 1} of {rounds}")
        sizes = {page: len(_get(client, page).content) for page in pages}
    return [_summary(page.replace(team, "<id>"), len(pages[page]), found[page], sizes[page]) for page in pages]


def calls_by_page(team: str) -> dict[str, list[str]]:
    """Return each page with the calls whose answers it shows; the header of each page shows who is logged in."""
    me, teams, of_team = "/api/auth/me", "/api/teams", f"team_id={team}"
    return {
        "/": [me, "/api/subscriptions/plans"],
        "/account": [me, "/api/users/profile"],
        "/account/security": [me, "/api/auth/identities"],
        "/account/devices": [me, "/api/auth/sessions"],
        "/account/support-visits": [me, "/api/auth/support-visits"],
        "/teams": [me, teams],
        f"/teams/{team}": [me, f"{teams}/{team}", f"{teams}/{team}/members"],
        f"/teams/{team}/invitations": [me, f"{teams}/{team}", f"{teams}/{team}/invitations"],
        f"/teams/{team}/api-keys": [me, f"{teams}/{team}", f"{teams}/{team}/api-keys"],
        "/billing": [me, *_billing_calls("")],
        f"/teams/{team}/billing": [me, f"{teams}/{team}", *_billing_calls(f"?{of_team}")],
        "/billing/plans": [me, "/api/subscriptions/plans", "/api/subscriptions/current"],
    }


def _billing_calls(query: str) -> list[str]:
    return [
        f"/api/subscriptions/current{query}",
        f"/api/billing/entitlements{query}",
        f"/api/billing/payment-methods{query}",
        f"/api/billing/details{query}",
        f"/api/billing/invoices{query}",
    ]


def _customer(server: Server) -> httpx.Client:
    """Log in by cookie, as a browser does."""
    cookies = register(server).cookies
    address = f"http://{HOST}:{server.port}"
    client = httpx.Client(base_url=address, trust_env=False, timeout=60, cookies=cookies)
    client.headers.update({"X-CSRFToken": client.get("/api/auth/csrf").json()["csrf_token"], "Origin": address})
    client.post("/api/subscriptions/checkout", json={"plan_id": _PLAN}).raise_for_status()
    return client


def _make_team(client: httpx.Client) -> str:
    team: str = client.post("/api/teams", json={"name": "Bench"}).raise_for_status().json()["team"]["id"]
    return team


def _median_times(client: httpx.Client, page: str, calls: Sequence[str], *, repetitions: int) -> tuple[float, float]:
    """In milliseconds: the page's, and the sum of the calls'."""
    timings = [(_ask(client, page), sum(_ask(client, call) for call in calls)) for _ in range(repetitions)]
    of_page, of_calls = zip(*timings, strict=True)
    return statistics.median(of_page), statistics.median(of_calls)


def _ask(client: httpx.Client, path: str) -> float:
    """Return the milliseconds up to the end of the answer. An answer that is none ends the benchmark."""
    started = time.perf_counter()
    _get(client, path)
    return (time.perf_counter() - started) * 1000


def _get(client: httpx.Client, path: str) -> httpx.Response:
    answer = client.get(path, headers={"Accept": "application/json" if path.startswith("/api/") else "text/html"})
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:300]}")
    return answer


def _summary(page: str, calls: int, found: Sequence[tuple[float, float]], size: int) -> PageTime:
    of_page, of_calls = zip(*found, strict=True)
    ratio = statistics.median(one / other for one, other in found)
    return PageTime(
        page,
        calls,
        round(statistics.median(of_page), 2),
        round(statistics.median(of_calls), 2),
        round(ratio, 2),
        round(size / 1000, 1),
    )
