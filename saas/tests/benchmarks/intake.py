"""Taking events in: both ways against the least that does the work, and against the usual way."""

from collections.abc import Callable
from typing import Any

from saas.tests.benchmarks import deliveries, other_designs
from saas.tests.benchmarks.compare import Row, alternate
from saas.tests.benchmarks.environment import Environment, Server, granian

LEVELS = (16, 64)
INTAKE, VIEW = "intake", "intake view"
_OURS, _BASELINES = "saas.tests.benchmarks.settings", "saas.tests.benchmarks.baselines"


def run(
    environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None], others: bool = False
) -> list[Row]:
    servers = [*_baselines(environment, say), intake_view(environment), intake(environment)]
    if others:
        servers += other_designs.started(environment, other_designs.OTHERS, say)
    return alternate(environment, servers, LEVELS, rounds=rounds, seconds=seconds, say=say, jobs=_job)


def intake(environment: Environment) -> Server:
    return environment.serve_ours(INTAKE, "webhooks", _OURS)


def intake_view(environment: Environment) -> Server:
    """The same service without its short path: only the service named ``webhooks`` has one."""
    return environment.serve_ours(VIEW, "product", _OURS)


def _job(server: Server) -> dict[str, Any]:
    return {"path": other_designs.PATHS.get(server.name, deliveries.PATH)}


def _baselines(environment: Environment, say: Callable[[str], None]) -> list[Server]:
    if not environment.database_url:
        return []
    environment.run_django_admin(f"{_BASELINES}.naive.settings", "migrate", "--run-syncdb", "-v0")
    return [
        environment.serve("bare WSGI insert", granian(f"{_BASELINES}.bare_wsgi:application")),
        *other_designs.started(environment, (other_designs.GROUP_COMMIT,), say),
        environment.serve("usual way", granian(f"{_BASELINES}.naive.wsgi:application")),
    ]
