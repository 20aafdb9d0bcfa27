"""What a worker tells Prometheus on the port of its own: the tasks that its children ran, together."""

import os
import re
import sys
from pathlib import Path

import httpx
import pytest

from saas.testing.servers.production import Process, killed_on_exit
from saas.testing.servers.stack import eventually, free_ports

pytestmark = pytest.mark.slow

RUN_TASKS = """
from saas.celery import app
for _ in range(20):
    app.send_task("saas.webhook_events.tasks.tidy")
app.send_task("saas.mail.tasks.deliver", ["no number"])
"""
NICE = 7
POOLS = {"the default": [], "prefork": ["--pool=prefork"]}


@pytest.fixture
def environment(tmp_path):
    """A broker in a folder, so that no other worker takes what is sent."""
    known = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    told = {"SAAS_ENV": "test", "SAAS_VAR_DIR": str(tmp_path), "BROKER_URL": "filesystem://localhost"}
    return {**known, **told, "DJANGO_SETTINGS_MODULE": "saas.settings.webhooks"}


def samples(port, name):
    """Value by labels, of one metric."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, trust_env=False).text
    return {labels: float(value) for labels, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE)}


def family(pid):
    """The process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_a_worker_exports_count_state_and_duration_of_its_tasks(environment, tmp_path, pool):
    port = free_ports(1)
    manage = [sys.executable, "manage.py"]
    Process([*manage, "migrate", "-v0"], environment, tmp_path / "log").process.wait()
    command = [sys.executable, "-m", "celery", "-A", "saas", "worker", "--concurrency=2", *pool, "--loglevel=INFO"]
    worker = Process(
        command, {**environment, "WORKER_METRICS_PORT": str(port), "WORKER_NICE": str(NICE)}, tmp_path / "worker.log"
    )

    with killed_on_exit(worker):
        eventually(lambda: "ready." in worker.text, 60)
        priorities = {os.getpriority(os.PRIO_PROCESS, pid) for pid in family(worker.process.pid)}
        Process([*manage, "shell", "-v0", "-c", RUN_TASKS], environment, tmp_path / "log").process.wait()
        eventually(lambda: sum(samples(port, "celery_tasks_total").values()) == 21, 60)
        tasks, seconds = samples(port, "celery_tasks_total"), samples(port, "celery_task_seconds_sum")
        counts = samples(port, "celery_task_seconds_count")

    assert priorities == {max(NICE, os.getpriority(os.PRIO_PROCESS, 0))}
    assert tasks == {
        'state="success",task="saas.webhook_events.tasks.tidy"': 20,
        'state="failure",task="saas.mail.tasks.deliver"': 1,
    }
    assert counts == {'task="saas.webhook_events.tasks.tidy"': 20, 'task="saas.mail.tasks.deliver"': 1}
    assert all(value > 0 for value in seconds.values())
