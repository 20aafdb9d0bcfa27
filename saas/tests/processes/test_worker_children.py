"""The child processes of a worker: each has its own connections, from its first heartbeat on."""

import os
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from saas.operations.models import WorkerProcess
from saas.testing.servers.production import Process, killed_on_exit
from saas.testing.servers.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.mark.django_db(transaction=True)
def test_a_child_sends_its_first_heartbeat_by_connections_of_its_own(tmp_path: Path) -> None:
    database = settings.DATABASE_URL.rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    known = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "DJANGO_SETTINGS_MODULE"}}
    told = {
        "SAAS_ENV": "test",
        "SAAS_VAR_DIR": str(tmp_path),
        "DATABASE_URL": database,
        "BROKER_URL": "memory://",
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "saas",
        "worker",
        "--concurrency=2",
        "--loglevel=INFO",
    ]
    worker = Process(command, {**known, **told}, tmp_path / "worker.log")

    with killed_on_exit(worker):
        eventually(lambda: WorkerProcess.objects.count() == 2)
        assert worker.stop() == 0

    assert "worker_heartbeat_failed" not in worker.text
