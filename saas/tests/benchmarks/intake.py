"""Taking events in: the two doors against the least that does the work, and against the usual way."""

from collections.abc import Callable
from typing import Any

from saas.tests.benchmarks import deliveries, other_designs
from saas.tests.benchmarks.compare import Row, alternate
from saas.tests.benchmarks.stage import Server, Stage, granian, uvicorn

LEVELS = (16, 64)
_OURS, _YARDSTICKS = "saas.tests.benchmarks.settings", "saas.tests.benchmarks.yardsticks"


def run(stage: Stage, *, rounds: int, seconds: float, say: Callable[[str], None], others: bool = False) -> list[Row]:
    servers = _servers(stage)
    if others:
        servers += other_designs.servers(stage, say)
    return alternate(stage, servers, LEVELS, rounds=rounds, seconds=seconds, say=say, jobs=_job)


def plain_door(stage: Stage) -> Server:
    return stage.serve("plain door", granian("webhooks.wsgi:application"), DJANGO_SETTINGS_MODULE=_OURS)


def fast_door(stage: Stage) -> Server:
    return stage.serve("fast door", ["-m", "webhooks", "--port", "{port}"], DJANGO_SETTINGS_MODULE=_OURS)


def _job(server: Server) -> dict[str, Any]:
    return {"path": other_designs.PATHS.get(server.name, deliveries.PATH)}


def _servers(stage: Stage) -> list[Server]:
    servers = []
    if stage.database_url:
        stage.django(f"{_YARDSTICKS}.naive.settings", "migrate", "--run-syncdb", "-v0")
        servers += [
            stage.serve("bare WSGI insert", granian(f"{_YARDSTICKS}.bare_wsgi:application")),
            stage.serve("bare ASGI group commit", uvicorn(f"{_YARDSTICKS}.bare_asgi:application")),
            stage.serve("usual way", granian(f"{_YARDSTICKS}.naive.wsgi:application")),
        ]
    return [*servers, plain_door(stage), fast_door(stage)]
