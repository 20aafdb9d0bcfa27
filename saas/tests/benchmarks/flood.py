"""``me`` alone and during a flood of logins, served as in production."""

import json
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from saas.tests.benchmarks.environment import Environment, Server
from saas.tests.benchmarks.processes import HOST, offer_load
from saas.tests.benchmarks.read_requests import PASSWORD, me_by_bearer, raw_request, register

CONNECTIONS, FLOODING = 4, 16
_RIGHT, _WRONG = 3 * FLOODING, 1000  # accounts; a crowd at one would meet 429 before the hash
_AHEAD_SECONDS = 1.0  # until every flooding connection waits for a hash; twice as long beyond the end, for slow starts
_JSON = {"Content-Type": "application/json"}

Result = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """Medians of the rounds. ``ratio`` is of p95 to that of ``me`` alone, in the same round."""

    design: str
    connections: int
    rps: float
    p50_ms: float
    p95_ms: float
    ratio: float | None


def run(environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Reading]:
    product = environment.serve_as_production("product", "product", PASSWORD_ITERATIONS="600000")
    me = [me_by_bearer(product)]
    for number in range(_RIGHT):
        register(product, f"bench{number}@example.net")
    _offer(product, me, CONNECTIONS, seconds)  # warm
    alone, flooded, logins = [], [], []
    for number in range(rounds):
        alone.append(_offer(product, me, CONNECTIONS, seconds))
        during, flood = _during_flood(product, me, number, seconds)
        flooded.append(during)
        logins.append(flood)
        say(f"round {number + 1} of {rounds}; logins answered {flood['statuses']}")
    ratios = [during["p95_ms"] / before["p95_ms"] for during, before in zip(flooded, alone, strict=True)]
    return [
        _row("me alone", CONNECTIONS, alone, 1.0),
        _row("me during the flood", CONNECTIONS, flooded, round(statistics.median(ratios), 3)),
        _row("the flood's logins", FLOODING, logins, None),
    ]


def _during_flood(product: Server, me: list[str], number: int, seconds: float) -> tuple[Result, Result]:
    with ThreadPoolExecutor(1) as pool:
        flood = pool.submit(_offer, product, _logins(number), FLOODING, seconds + 3 * _AHEAD_SECONDS)
        time.sleep(_AHEAD_SECONDS)
        return _offer(product, me, CONNECTIONS, seconds), flood.result()


def _logins(number: int) -> list[str]:
    """Wrong and right in turn; the wrong ones of another round's are not asked again."""
    wrong = [_login(f"stranger{number}-{index}@example.net", "not the password") for index in range(_WRONG)]
    right = [_login(f"bench{index % _RIGHT}@example.net", PASSWORD) for index in range(_WRONG)]
    return [request for pair in zip(wrong, right, strict=True) for request in pair]


def _login(email: str, password: str) -> str:
    return raw_request("POST", "/api/auth/login", _JSON, json.dumps({"email": email, "password": password}))


def _offer(product: Server, requests: list[str], connections: int, seconds: float) -> Result:
    job = {"host": HOST, "port": product.port, "connections": connections, "seconds": seconds, "requests": requests}
    result = offer_load(job)
    if connections == CONNECTIONS and set(result["statuses"]) != {"200"}:
        raise RuntimeError(f"me answered {result['statuses']}")
    return result


def _row(design: str, connections: int, results: list[Result], ratio: float | None) -> Reading:
    return Reading(
        design,
        connections,
        rps=_median(result["rps"] for result in results),
        p50_ms=_median(result["p50_ms"] for result in results),
        p95_ms=_median(result["p95_ms"] for result in results),
        ratio=ratio,
    )


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)
