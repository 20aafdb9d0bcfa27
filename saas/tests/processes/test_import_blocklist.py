"""Which libraries a process leaves out of its memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
OPTIONAL = ("jinja2", "opentelemetry", "requests", "rich")
LOADED = """
import json, sys
from saas.wsgi import application
from django.conf import settings
from importlib import import_module
import_module(settings.ROOT_URLCONF)
print(json.dumps([name for name in %r if sys.modules.get(name)]))
"""


def loaded(tmp_path: Path, process: str, **environment: str) -> set[str]:
    given = {"SAAS_ENV": "test", "SAAS_PROCESS": process, "SAAS_VAR_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", LOADED % (OPTIONAL,)]
    done = subprocess.run(command, cwd=ROOT, env=given | environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("process", "environment", "expected"),
    [
        ("service", {}, set()),
        ("worker", {}, set()),
        ("service", {"STRIPE_SECRET_KEY": "sk_test_51H8xkzq", "STRIPE_WEBHOOK_SECRET": "whsec_x"}, {"requests"}),
        ("service", {"OTEL_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, {"opentelemetry", "requests"}),
        ("command", {}, set(OPTIONAL)),
    ],
    ids=["service", "worker", "stripe", "traces", "command"],
)
def test_a_process_loads_what_its_settings_need(tmp_path, process, environment, expected) -> None:
    assert loaded(tmp_path, process, **environment) == expected
