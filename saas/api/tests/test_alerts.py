"""The rules in ``saas/docs/alerts.yml`` ask for metrics, routes and statuses that there are (T37)."""

import re
from pathlib import Path

import pytest

from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person

RULES = (Path(__file__).resolve().parents[2] / "docs/alerts.yml").read_text(encoding="utf-8")


def test_every_metric_that_a_rule_names_is_told(product: ServiceClient) -> None:
    named = set(re.findall(r"increase\((\w+)", RULES))

    told = set(re.findall(r"^# TYPE (\w+) (?:counter|gauge)$", product.get("/metrics").content.decode(), re.MULTILINE))
    assert named
    assert named <= told


@pytest.mark.parametrize(("name", "path"), [("product", "/api/auth/register"), ("parity", "/auth/register")])
def test_a_registration_of_a_taken_address_counts_where_the_rule_looks(
    service, customer: Person, name: str, path
) -> None:
    client = service(name)
    pattern = re.compile(
        r'^http_requests_total\{method="POST",route="(?:api/)?auth/register",status="409"\} (.+)$', re.M
    )

    def counted() -> float:
        return sum(map(float, pattern.findall(client.get("/metrics").content.decode())))

    before = counted()
    assert client.post(path, {"email": customer.user.email, "password": PASSWORD}).status_code == 409

    assert counted() == before + 1
