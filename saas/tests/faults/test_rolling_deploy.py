"""SIGTERM, versions that replace each other under traffic, and a backup that is restored. (T80)"""

import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from random import choice
from threading import Event, Thread

import pytest
from django.conf import settings

from saas import __version__
from saas.testing.servers.production import Server, killed_on_exit, manage
from saas.testing.servers.stack import eventually
from saas.tests.faults.harness import DATABASE, PASSWORD

pytestmark = [pytest.mark.slow, pytest.mark.faults]


# As production has it by default, and not as narrow as the harness of the faults.
ROOMY = {"DATABASE_POOL_SIZE": "8", "DRAIN_SECONDS": "5"}


@pytest.fixture
def server(harness):
    started = Server("product", {**harness.environment, **ROOMY}, harness.folder / "ending.log")
    with killed_on_exit(started):
        started.wait_until_ready()
        yield started


def test_sigterm_drains_finishes_running_requests_and_exits(harness, customer, server):
    token = customer["access_token"]
    with harness.postgres.connect(DATABASE) as owner, ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute("SELECT * FROM accounts_profile FOR UPDATE")
            asked = pool.submit(server.call, "PUT", "/api/users/profile", {"biography": "at the end"}, token=token)
            eventually(harness.waits_for_a_lock, 5)
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: server.call("GET", "/health/ready").json()["status"] == "draining", 5)
            ready = server.call("GET", "/health/ready")
            me = server.call("GET", "/api/auth/me", token=token)

        answer = asked.result()

    assert (ready.status_code, me.status_code) == (503, 200)
    assert answer.status_code in {200, 503}, answer.text  # 503 where the row was held for a second
    assert server.process.wait(timeout=30) == 0


# ── A rolling deploy ─────────────────────────────────────────────────────────────────────────────────────────────────


class Balancer:
    """A load balancer for one service: it sends each request to a server that is ready."""

    def __init__(self, *servers):
        self.servers = list(servers)
        self.ready = list(servers)
        self.is_over = Event()
        self.thread = Thread(target=self._watch)
        self.thread.start()

    def _watch(self):
        while not self.is_over.wait(0.1):
            self.ready = [server for server in self.servers if server.is_ready()] or self.ready

    def call(self, *arguments, **options):
        return choice(self.ready).call(*arguments, **options)

    def close(self):
        self.is_over.set()
        self.thread.join()


class Traffic:
    """One customer who sends requests without a pause; ``failures`` collects every unexpected answer."""

    def __init__(self, balancer, harness):
        self.balancer, self.person = balancer, harness.register()
        self.token, self.refresh_token = self.person["access_token"], self.person["refresh_token"]
        self.answers, self.failures, self.refreshed_at = 0, [], time.monotonic()
        self.is_over = Event()
        self.thread = Thread(target=self._work)
        self.thread.start()

    def _work(self):
        while not self.is_over.is_set():
            self._do(200, "GET", "/api/auth/me", token=self.token)
            self._do(200, "PUT", "/api/users/profile", {"biography": str(self.answers)}, token=self.token)
            self._do(200, "GET", "/api/teams", token=self.token)
            self._do(200, "GET", "/api/subscriptions/current", token=self.token)
            if time.monotonic() - self.refreshed_at > 7:  # ten in a minute are allowed
                self._refresh()
            self._do(200, "POST", "/api/auth/login", {"email": self.person["email"], "password": PASSWORD})

    def _refresh(self):
        self.refreshed_at = time.monotonic()
        answer = self._do(200, "POST", "/api/auth/refresh", {"refresh_token": self.refresh_token})
        if answer is not None:
            self.token, self.refresh_token = answer.json()["access_token"], answer.json()["refresh_token"]

    def _do(self, expected, *arguments, **options):
        self.answers += 1
        try:
            answer = self.balancer.call(*arguments, **options)
        except Exception as error:
            self.failures.append(f"{arguments}: {error!r}")
            return None
        if answer.status_code != expected:
            self.failures.append(f"{arguments}: {answer.status_code} {answer.text}")
            return None
        return answer

    def close(self):
        self.is_over.set()
        self.thread.join()


def next_version(folder):
    """Write the code of a next version, which has one column more (expand); return its folder, and the last migration."""
    root = folder / "next"
    ignored = shutil.ignore_patterns("var", ".*", "tests", "__pycache__", "node_modules")
    shutil.copytree(settings.BASE_DIR, root, ignore=ignored, dirs_exist_ok=True)
    models = root / "saas" / "operations" / "models.py"
    column = "    at = models.DateTimeField(default=timezone.now)\n"
    models.write_text(models.read_text().replace(column, f'{column}    note = models.TextField(db_default="")\n', 1))
    package = root / "saas" / "__init__.py"
    package.write_text(package.read_text().replace(__version__, "99.0.0"))
    last = max((root / "saas" / "operations" / "migrations").glob("0*.py")).stem
    (root / "saas" / "operations" / "migrations" / "0099_note.py").write_text(EXPAND.format(last=last))
    return root, last


EXPAND = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operations", "{last}")]
    operations = [migrations.AddField("heartbeat", "note", models.TextField(db_default=""))]
"""


def replace(balancer, old, new):
    """Add ``new`` when it is ready, then ask ``old`` to end, as an orchestrator does."""
    new.wait_until_ready()
    balancer.servers.append(new)
    eventually(lambda: new in balancer.ready, 10)
    old.process.send_signal(signal.SIGTERM)
    eventually(lambda: old not in balancer.ready, 10)
    assert old.process.wait(timeout=30) == 0
    balancer.servers.remove(old)


def test_versions_replace_each_other_under_traffic_and_no_request_fails(harness, server, record_property):
    """Expand, the next version, the version after it, contract: one customer's work goes on throughout."""
    root, last = next_version(harness.folder)
    owner = {**harness.environment, "DATABASE_URL": harness.postgres.url(DATABASE)}
    balancer = Balancer(server)
    traffic = [Traffic(balancer, harness) for _ in range(2)]
    started = [server]
    try:
        manage(owner, "migrate", "-v0", root=root)
        started.append(Server("product", {**harness.environment, **ROOMY}, harness.folder / "next.log", root))
        replace(balancer, started[0], started[1])
        assert balancer.call("GET", "/health").json()["version"] == "99.0.0"
        started.append(Server("product", {**harness.environment, **ROOMY}, harness.folder / "after.log"))
        replace(balancer, started[1], started[2])
        manage(owner, "migrate", "operations", last, "-v0", root=root)
        seen = traffic[0].answers
        eventually(lambda: traffic[0].answers > seen + 6, 20)
    finally:
        for one in [*traffic, balancer]:
            one.close()
        for one in started:
            one.kill()

    record_property("requests during the deploy", sum(one.answers for one in traffic))
    assert [failure for one in traffic for failure in one.failures] == []
    assert all(one.answers > 10 for one in traffic)


# ── A backup ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_restored_backup_is_complete_and_its_sessions_work(harness, customer, tmp_path):
    dump = tmp_path / "saas.dump"
    owner = {**harness.environment, "DATABASE_URL": harness.postgres.url(DATABASE)}
    with harness.postgres.connect("postgres") as postgres:
        postgres.execute("CREATE DATABASE restored")
    elsewhere = {**owner, "DATABASE_URL": harness.postgres.url("restored")}

    manage(owner, "backup", str(dump))
    output = manage(elsewhere, "restore", str(dump))

    assert "events are as they were written" in output
    assert dump.stat().st_mode & 0o077 == 0
    counted = "import saas.accounts.models as m, saas.audit.models as a; print(m.User.objects.count())"
    assert manage(owner, "shell", "-v0", "-c", counted) == manage(elsewhere, "shell", "-v0", "-c", counted)
    server = Server("product", elsewhere, tmp_path / "restored.log")
    with killed_on_exit(server):
        server.wait_until_ready()
        assert server.call("GET", "/api/auth/me", token=customer["access_token"]).status_code == 200
