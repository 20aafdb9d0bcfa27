"""The services and the proxy, started once for all of these tests."""

from collections.abc import Iterator

import pytest

from saas.tests.http.services import Edge, running_edge


@pytest.fixture(scope="session")
def edge(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running_edge(tmp_path_factory.mktemp("edge")) as edge:
        yield edge


@pytest.fixture(autouse=True)
def _no_error_is_logged_or_reported(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail if a service logged a traceback or a line of level ERROR, or reported to Sentry."""
    yield
    if "edge" in request.fixturenames:
        edge = request.getfixturevalue("edge")
        reports, edge.errors.reports = edge.errors.reports, 0
        assert (edge.faults(), reports) == ({}, 0)
