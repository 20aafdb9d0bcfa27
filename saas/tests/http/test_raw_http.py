"""Every service answers raw bytes as the table in ``saas/docs/http.md`` says, direct and behind the proxy."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

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
LINES_AT_ONCE = 8  # most cases wait for what does not come
SOFTWARE = ("uvicorn", "gunicorn", "granian", "hyper", "caddy")


@pytest.fixture(scope="module")
def seen() -> Iterator[table.Table]:
    """The answers by case and way; written to the table with ``SAAS_HTTP_TABLE=write``."""
    seen = table.empty()
    yield seen
    if table.IS_WRITTEN:
        table.write(seen)


AnswerOf = Callable[[str, str, Case], str]


@pytest.fixture(scope="module")
def answer(edge: Edge, request: pytest.FixtureRequest) -> Iterator[AnswerOf]:
    """The answer to a case by service and way. The first call sends all cases that were chosen of that service and way."""
    sent: dict[tuple[str, str], dict[str, Future[str]]] = {}
    with ThreadPoolExecutor(LINES_AT_ONCE) as pool:

        def answer_of(service: str, way: str, case: Case) -> str:
            if (service, way) not in sent:
                target = edge.target(service, way)
                cases = _chosen_cases(request.session.items, service, way)
                sent[service, way] = {one.name: pool.submit(answered, target, one) for one in cases}
            return sent[service, way][case.name].result()

        yield answer_of


def _chosen_cases(items: list[pytest.Item], service: str, way: str) -> list[Case]:
    named = (getattr(item, "callspec", None) for item in items if item.path == Path(__file__))
    chosen = [callspec.params for callspec in named if callspec and "case" in callspec.params]
    return [
        one["case"] for one in chosen if (one.get("service", "webhooks"), one.get("way", "pinned")) == (service, way)
    ]


def answered(target: Target, case: Case) -> str:
    outcome = exchange(
        target.address, *case.pieces(target), half_close=case.half_close, pause_seconds=case.pause_seconds
    )
    return target.described(outcome)


@pytest.mark.parametrize(("service", "way"), TARGETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bytes_are_answered_as_the_table_says(
    answer: AnswerOf, seen: table.Table, service: str, way: str, case: Case
) -> None:
    came = answer(service, way, case)

    seen[case.name][way].add(came)
    assert came in case.expected(way)
    assert table.IS_WRITTEN or came in table.read()[case.name][way]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_pinned_proxy_answers_no_worse(answer: AnswerOf, case: Case) -> None:
    assert answer("webhooks", "pinned", case) in case.expected("proxied")


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
