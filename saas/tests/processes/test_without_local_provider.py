"""Production never loads the development payment provider, which sells for nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from saas.testing.servers.production import production_environment

ROOT = Path(__file__).resolve().parents[3]
LOCAL_PROVIDER = "saas.billing.providers.local"
SERVICES = ["product", "admin_ops", "parity", "webhooks"]
BOOT = """
import json, sys
import django
django.setup()
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.urls import get_resolver
from saas.celery import app
WSGIHandler()
get_resolver().url_patterns
app.loader.import_default_modules()
from saas.billing import clock, providers
providers.current_gateway()
if settings.STRIPE_SECRET_KEY:
    clock.now()  # asks no database
print(json.dumps({
    "modules": sorted(sys.modules),
    "tasks": sorted(app.tasks),
    "schedule": sorted(entry["task"] for entry in app.conf.beat_schedule.values()),
    "routes": sorted(str(one.pattern) for one in get_resolver().url_patterns),
}))
"""


def boot(service: str, environment: dict[str, str]) -> Any:
    """What a process of ``service`` has loaded, with the task modules that its workers load."""
    done = subprocess.run(
        [sys.executable, "-c", BOOT],
        cwd=ROOT,
        env={**environment, "DJANGO_SETTINGS_MODULE": f"saas.settings.{service}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("service", SERVICES)
def test_production_loads_schedules_and_routes_no_local_provider(service: str, tmp_path: Path) -> None:
    environment = production_environment(
        tmp_path, database="postgres://127.0.0.1:1/none", redis="redis://127.0.0.1:1/0"
    )

    loaded = boot(service, environment)

    assert [name for name in loaded["modules"] if name.startswith(LOCAL_PROVIDER)] == []
    assert "saas.billing.tasks.reconcile_all" in loaded["tasks"]
    assert not {"saas.billing.tasks.turn_local_clock", "saas.billing.tasks.deliver_local_events"} & {*loaded["tasks"]}
    assert "saas.billing.tasks.turn_local_clock" not in loaded["schedule"]
    assert not {"checkout/<str:session_id>", "billing/portal/<str:session_id>"} & {*loaded["routes"]}


def test_development_loads_schedules_and_routes_the_local_provider(tmp_path: Path) -> None:
    loaded = boot("product", {"PATH": os.environ["PATH"], "SAAS_ENV": "test", "SAAS_VAR_DIR": str(tmp_path)})

    assert f"{LOCAL_PROVIDER}.gateway" in loaded["modules"]
    assert {"saas.billing.tasks.turn_local_clock", "saas.billing.tasks.deliver_local_events"} <= {*loaded["tasks"]}
    assert "saas.billing.tasks.turn_local_clock" in loaded["schedule"]
    assert {"checkout/<str:session_id>", "billing/portal/<str:session_id>"} <= {*loaded["routes"]}
