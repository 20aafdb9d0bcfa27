"""What others do with a delivery, each in an environment of its own: the public starter, and dj-stripe."""

import os
import subprocess
from collections.abc import Callable

from django.conf import settings

from saas.tests.benchmarks.environments import YARDSTICKS, EnvironmentUnavailable, python_for
from saas.tests.benchmarks.stage import Server, Stage, granian, uvicorn

STARTER, DJSTRIPE = "starter, in memory", "dj-stripe"
_UUID = "2f0d1c0e-5d7a-4c3b-9f55-6f1b6a3c8e11"
PATHS = {DJSTRIPE: f"/stripe/webhook/{_UUID}/"}  # of those who are not asked at the usual one
_WITHOUT_OURS = {"PYTHONPATH": str(YARDSTICKS)}


def servers(stage: Stage, say: Callable[[str], None]) -> list[Server]:
    """Those whose environment is there or can be made; about each other, one sentence is said."""
    started = []
    designs = {STARTER: _starter} | ({DJSTRIPE: _djstripe} if stage.database_url else {})
    for name, serve in designs.items():
        try:
            started.append(serve(stage))
        except EnvironmentUnavailable as error:
            say(f"Without {name}: its environment could not be made ({error}).")
    return started


def _starter(stage: Stage) -> Server:
    return stage.serve(STARTER, uvicorn("starter.app:app"), python=python_for("starter"), **_WITHOUT_OURS)


def _djstripe(stage: Stage) -> Server:
    python = python_for("djstripe_project")
    subprocess.run(
        [python, "-m", "djstripe_project.prepare", _UUID],
        cwd=settings.BASE_DIR,
        env={**os.environ, **stage.environment, **_WITHOUT_OURS},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return stage.serve(DJSTRIPE, granian("djstripe_project.wsgi:application"), python=python, **_WITHOUT_OURS)
