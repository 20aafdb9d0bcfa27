"""Designs in environments of their own: the bare group commit, the public starter and dj-stripe."""

import os
import subprocess
from collections.abc import Callable, Sequence

from django.conf import settings

from saas.tests.benchmarks.environment import Environment, Server, granian, uvicorn
from saas.tests.benchmarks.virtual_environments import BASELINES, EnvironmentUnavailable, python_for

GROUP_COMMIT, STARTER, DJSTRIPE = "bare ASGI group commit", "starter, in memory", "dj-stripe"
OTHERS = (STARTER, DJSTRIPE)
_UUID = "2f0d1c0e-5d7a-4c3b-9f55-6f1b6a3c8e11"
PATHS = {DJSTRIPE: f"/stripe/webhook/{_UUID}/"}  # of the designs with another path
_WITHOUT_OURS = {"PYTHONPATH": str(BASELINES)}


def started(environment: Environment, designs: Sequence[str], say: Callable[[str], None]) -> list[Server]:
    """Those whose environment is there or can be made; about each other, one sentence is said."""
    servers = []
    for name in designs:
        if name == DJSTRIPE and not environment.database_url:
            continue
        try:
            servers.append(_SERVE[name](environment))
        except EnvironmentUnavailable as error:
            say(f"Without {name}: its environment could not be made ({error}).")
    return servers


def _group_commit(environment: Environment) -> Server:
    """It imports a few modules of ours, none of which needs Django."""
    application = "saas.tests.benchmarks.baselines.group_commit.app:application"
    return environment.serve(GROUP_COMMIT, uvicorn(application), python=python_for("group_commit"))


def _starter(environment: Environment) -> Server:
    return environment.serve(STARTER, uvicorn("starter.app:app"), python=python_for("starter"), **_WITHOUT_OURS)


def _djstripe(environment: Environment) -> Server:
    python = python_for("djstripe_project")
    subprocess.run(
        [python, "-m", "djstripe_project.prepare", _UUID],
        cwd=settings.BASE_DIR,
        env={**os.environ, **environment.variables, **_WITHOUT_OURS},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return environment.serve(DJSTRIPE, granian("djstripe_project.wsgi:application"), python=python, **_WITHOUT_OURS)


_SERVE: dict[str, Callable[[Environment], Server]] = {
    GROUP_COMMIT: _group_commit,
    STARTER: _starter,
    DJSTRIPE: _djstripe,
}
