"""Every service answers raw bytes as the table in ``saas/docs/http.md`` says, direct and behind the proxy."""

from collections.abc import Iterator

import pytest

from saas.testing.servers.stack import SERVICES
from saas.tests.http import table
from saas.tests.http.case import Case
from saas.tests.http.cases import CASES
from saas.tests.http.raw_client import exchange
from saas.tests.http.services import Edge, Target

pytestmark = pytest.mark.xdist_group("edge")
edged = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.django_db]

# The ordinary run tests the intake; the others share its server and are tested with the longer tests.
TARGETS = [
    pytest.param(
        service, way, marks=edged if (service, way) == ("webhooks", "direct") else [*edged, pytest.mark.faults]
    )
    for way in table.WAYS
    for service in SERVICES
]
SOFTWARE = ("uvicorn", "gunicorn", "granian", "hyper", "caddy")


@pytest.fixture(scope="module")
def seen() -> Iterator[table.Table]:
    """The answers by case and way; written to the table with ``SAAS_HTTP_TABLE=write``."""
    seen = table.empty()
    yield seen
    if table.IS_WRITTEN:
        table.write(seen)


def answered(target: Target, case: Case) -> str:
    outcome = exchange(
        target.address, *case.pieces(target), half_close=case.half_close, pause_seconds=case.pause_seconds
    )
    return target.described(outcome)


@pytest.mark.parametrize(("service", "way"), TARGETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bytes_are_answered_as_the_table_says(
    edge: Edge, seen: table.Table, service: str, way: str, case: Case
) -> None:
    answer = answered(edge.target(service, way), case)

    seen[case.name][way].add(answer)
    assert answer in case.expected(way)
    assert table.IS_WRITTEN or answer in table.read()[case.name][way]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_pinned_proxy_answers_no_worse(edge: Edge, case: Case) -> None:
    assert answered(edge.target("webhooks", "pinned"), case) in case.expected("proxied")


@pytest.mark.parametrize(("service", "way"), TARGETS)
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /health HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n\r\n",
        b"GET /api/nothing HTTP/1.1\r\nHost: %HOST%\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["200", "404", "another host", "nonsense"],
)
def test_no_answer_names_the_software(edge: Edge, service: str, way: str, request_bytes: bytes) -> None:
    target = edge.target(service, way)

    outcome = exchange(target.address, request_bytes.replace(b"%HOST%", target.host.encode()))

    assert len(outcome.answers) == 1
    named = [outcome.answers[0].header(name) for name in ("server", "via", "x-powered-by")]
    assert not any(software in str(named).lower() for software in SOFTWARE)


def test_the_table_has_every_case_with_an_answer_that_is_allowed() -> None:
    documented = table.read()

    assert list(documented) == [case.name for case in CASES]
    assert {
        case.name for case in CASES for way in table.WAYS if not documented[case.name][way] <= case.expected(way)
    } == set()
