"""Taking events in: both ways against the least that does the work, and against the usual way."""

from collections.abc import Callable
from typing import Any

from saas.tests.benchmarks import deliveries, other_designs
from saas.tests.benchmarks.compare import Row, alternate
from saas.tests.benchmarks.environment import Server, Stage, granian

LEVELS = (16, 64)
INTAKE, VIEW = "intake", "intake view"
_OURS, _BASELINES = "saas.tests.benchmarks.settings", "saas.tests.benchmarks.baselines"


def run(stage: Stage, *, rounds: int, seconds: float, say: Callable[[str], None], others: bool = False) -> list[Row]:
    servers = [*_baselines(stage, say), intake_view(stage), intake(stage)]
    if others:
        servers += other_designs.started(stage, other_designs.OTHERS, say)
    return alternate(stage, servers, LEVELS, rounds=rounds, seconds=seconds, say=say, jobs=_job)


def intake(stage: Stage) -> Server:
    return stage.serve_ours(INTAKE, "webhooks", _OURS)


def intake_view(stage: Stage) -> Server:
    """The same service without its short path: only the service named ``webhooks`` has one."""
    return stage.serve_ours(VIEW, "product", _OURS)


def _job(server: Server) -> dict[str, Any]:
    return {"path": other_designs.PATHS.get(server.name, deliveries.PATH)}


def _baselines(stage: Stage, say: Callable[[str], None]) -> list[Server]:
    if not stage.database_url:
        return []
    stage.django(f"{_BASELINES}.naive.settings", "migrate", "--run-syncdb", "-v0")
    return [
        stage.serve("bare WSGI insert", granian(f"{_BASELINES}.bare_wsgi:application")),
        *other_designs.started(stage, (other_designs.GROUP_COMMIT,), say),
        stage.serve("usual way", granian(f"{_BASELINES}.naive.wsgi:application")),
    ]
