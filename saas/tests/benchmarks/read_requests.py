"""The product service against plain Django views that make the same queries."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from saas.tests.benchmarks.compare import Row, alternate
from saas.tests.benchmarks.environment import Environment, Server
from saas.tests.benchmarks.processes import HOST

CONNECTIONS = 16
PASSWORD = "correct horse battery staple"
_PLAIN, _OURS = "plain view", "ours"

Request = tuple[str, str, dict[str, str], str]  # method, path, headers, body


def me(environment: Environment, **options: Any) -> list[Row]:
    plain, ours = _servers(environment)
    answer = register(ours)
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}
    by_bearer = _compare(
        environment, (plain, ours), "by bearer", "/me/bearer", [("GET", "/api/auth/me", bearer, "")], bearer, **options
    )
    by_cookie = _compare(
        environment, (plain, ours), "by cookie", "/me/cookie", [("GET", "/api/auth/me", cookie, "")], cookie, **options
    )
    return [*by_bearer, *by_cookie]


def plans(environment: Environment, **options: Any) -> list[Row]:
    environment.run_django_admin("saas.settings.product", "seed")
    requests: list[Request] = [("GET", "/api/subscriptions/plans", {}, "")]
    return _compare(environment, _servers(environment), "plans", "/plans", requests, {}, **options)


def login(environment: Environment, **options: Any) -> list[Row]:
    """Compare with the hash alone: the rest of a login should not show."""
    plain, ours = _servers(environment)
    # Many accounts: many logins to one would get 429.
    emails = [f"bench{number}@example.net" for number in range(3 * CONNECTIONS)]
    for email in emails:
        register(ours, email)
    requests: list[Request] = [
        (
            "POST",
            "/api/auth/login",
            {"Content-Type": "application/json"},
            json.dumps({"email": email, "password": PASSWORD}),
        )
        for email in emails
    ]
    return _compare(environment, (plain, ours), "login", "/hash", requests, {}, **options)


def _servers(environment: Environment) -> tuple[Server, Server]:
    return _serve(environment, _PLAIN, "saas.tests.benchmarks.baselines.plain_settings"), product(environment)


def product(environment: Environment) -> Server:
    return _serve(environment, _OURS, "saas.settings.product")


def _serve(environment: Environment, name: str, settings: str) -> Server:
    return environment.serve_ours(name, "product", settings, PASSWORD_ITERATIONS="600000")


def me_by_bearer(server: Server) -> str:
    """Return the request of a customer who has just registered."""
    token = register(server).json()["access_token"]
    return raw_request("GET", "/api/auth/me", {"Authorization": f"Bearer {token}"}, "")


def register(server: Server, email: str = "bench@example.net") -> httpx.Response:
    url = f"http://{HOST}:{server.port}/api/auth/register"
    answer = httpx.post(url, json={"email": email, "password": PASSWORD}, trust_env=False, timeout=30)
    answer.raise_for_status()
    return answer


def _compare(
    environment: Environment,
    servers: tuple[Server, Server],
    title: str,
    plain_path: str,
    requests: Sequence[Request],
    plain_headers: Mapping[str, str],
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[Row]:
    jobs = {
        _PLAIN: {"requests": [raw_request("GET", plain_path, plain_headers, "")]},
        _OURS: {"requests": [raw_request(*request) for request in requests]},
    }
    rows = alternate(
        environment,
        servers,
        (CONNECTIONS,),
        rounds=rounds,
        seconds=seconds,
        say=say,
        jobs=lambda server: jobs[server.name],
    )
    return [row.named(f"{row.design}: {title}") for row in rows]


def raw_request(method: str, path: str, headers: Mapping[str, str], body: str) -> str:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
