"""Which hosts are answered: ours; and any where a container is probed by its address."""

import pytest

SERVICES = ["product", "admin_ops", "parity", "webhooks"]
FOREIGN = ["203.0.113.5", "203.0.113.5:8000", "[2001:db8::1]:8000", "evil.example", "$nonsense", "a b", ""]
NOT_PROBES = ["/healthz", "/health/", "/health/ready/", "/health/readyz", "/health/../api/auth/me", "//health", "/Health",
              "/api/health", "/api/health/modules", "/metrics", "/openapi.json", "/", "/health/x"]  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_a_probe_is_answered_whatever_it_calls_us(service, name, host, path):
    client = service(name)

    assert client.get(path, headers={"Host": host}).status_code == 200
    assert client.head(path, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("path", NOT_PROBES)
def test_nothing_else_is_answered_under_a_host_that_is_not_ours(service, name, path):
    answer = service(name).get(path, headers={"Host": "203.0.113.5"})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_a_probe_by_another_method_is_none(product, method, path):
    assert product.generic(method, path, headers={"Host": "203.0.113.5"}).status_code == 400
