"""*From nothing to production* of ``operations.md``: what stands there is typed, on a PostgreSQL that knows nothing of us.

Other than there: addresses are of this machine, passwords hold what shells and URLs treat as special, and Prometheus reaches
the proxy without TLS, as a forward proxy.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from django.conf import settings

from saas.testing.servers.engines import PrivatePostgres, PrivateRedis, free_port, missing_engines
from saas.testing.servers.production import HOSTS, Process, killed_on_exit
from saas.testing.servers.stack import eventually, free_ports
from saas.tests.http.proxy import Proxy, debian_caddy

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.xdist_group("engines")]

PAGE = (settings.BASE_DIR / "saas/docs/operations.md").read_text()
OWNER, RUNTIME = """o'w"n$er @:/%\\""", """r u'n"$time#@:/%?&"""
MAX_CONNECTIONS = 100  # PostgreSQL's default
PROMETHEUS = "/usr/bin/prometheus"


def documented(title: str) -> str:
    """The block of the page under the paragraph that begins with ``title``."""
    (block,) = re.findall(rf"\n\*\*{re.escape(title)}\*\*[^\n]*\n(?:[^\n]+\n)*\n((?:    [^\n]+\n)+)", PAGE)
    return re.sub("^    ", "", block, flags=re.MULTILINE)


class Road:
    """A folder with a link to each of ours, so that ``production.env`` stands beside ``manage.py`` as in a checkout."""

    def __init__(self, folder: Path, database: PrivatePostgres, redis: PrivateRedis, mail_port: int) -> None:
        self.folder = folder
        self.database = database
        for entry in settings.BASE_DIR.iterdir():
            if entry.name not in {"var", ".git", "production.env", ".env"}:
                (folder / entry.name).symlink_to(entry)
        self.replaced = {
            "db.example.com": f"127.0.0.1:{database.port}",
            "redis.example.com:6379": f"127.0.0.1:{redis.port}",
            "mail.example.com:587?tls=true": f"127.0.0.1:{mail_port}",
            "sk_live_yours": "sk_live_51H8xkzqB4Vw",
            "whsec_yours": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "10.0.0.0/8": "127.0.0.1/32",
            "/backups": str(folder),
            ":owner-password@": f":{quote(OWNER, safe='')}@",
            ":runtime-password@": f":{quote(RUNTIME, safe='')}@",
            "=runtime-password": f"={shlex.quote(RUNTIME)}",
        }

    def here(self, block: str) -> str:
        for known, ours in self.replaced.items():
            block = block.replace(known, ours)
        return block

    def type(self, block: str) -> str:
        """Type it into a shell that stops at the first error; return what it prints."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(block)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """An empty one, in which the environment of this project is active."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "SAAS_VAR_DIR": str(self.folder / "data"),
        }

    def start(self, line: str, **variables: str) -> Process:
        """A process of the documented line, with the variables of ``production.env``."""
        command = f"set -a; . ./production.env; exec {self.here(line)}"
        log = self.folder / f"{line.split()[-1]}.log"
        return Process(["bash", "-c", command], {**self.environment, **variables}, log, self.folder)


@pytest.fixture
def road(tmp_path):
    if missing := missing_engines():
        pytest.skip(missing)
    mail_server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    mail_server.start()
    with PrivatePostgres(is_durable=False, max_connections=MAX_CONNECTIONS) as database, PrivateRedis() as redis:
        database.require_passwords()
        yield Road(tmp_path, database, redis, mail_server.port)
    mail_server.stop()


@contextmanager
def running(road: Road) -> Iterator[Proxy]:
    """All that the page starts, and a proxy in front; ended as a deploy ends them."""
    ports = dict(zip(HOSTS, count(free_ports(len(HOSTS))), strict=False))
    binds = {f"serve {service}": f"127.0.0.1:{port}" for service, port in ports.items()}
    lines = documented("The processes").splitlines()
    processes = [road.start(line, BIND=next((binds[end] for end in binds if line.endswith(end)), "")) for line in lines]
    proxy = Proxy(ports, road.folder / "caddy", debian_caddy(), port=free_port())
    with killed_on_exit(*processes, proxy):
        for service, host in HOSTS.items():
            eventually(lambda service=service: is_ready(proxy, service) or died(processes), 90)
            assert not died(processes)
            proxy.wait_until_ready(host)
        yield proxy
        for process in processes:
            assert process.stop() == 0, process.text


def died(processes: list[Process]) -> list[str]:
    return [process.text for process in processes if process.process.poll() is not None]


def ask(proxy: Proxy, service: str, path: str) -> httpx.Response:
    url = f"http://127.0.0.1:{proxy.port}{path}"
    return httpx.get(url, headers={"Host": HOSTS[service]}, timeout=30, trust_env=False)


def is_ready(proxy: Proxy, service: str) -> bool:
    """With worker and beat, so that nothing is degraded."""
    try:
        answer = ask(proxy, service, "/health/ready")
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and answer.json()["status"] == "ok"


def type_sql(road: Road, block: str) -> None:
    for statement in block.strip().splitlines():
        with road.database.connect("postgres") as superuser:
            superuser.execute(statement.replace("'owner-password'", sql_literal(OWNER)))


def sql_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def in_production(line: str) -> str:
    return f"set -a && . ./production.env && set +a\n{line}"


def failures(report: str) -> set[str]:
    """The names of what ``doctor`` found broken."""
    found = json.loads(report)
    return {one["name"] for one in [*found["services"], *found["checks"]] if not one["ok"]}


def scrape(road: Road, proxy: Proxy) -> dict[str, str]:
    """Run Prometheus with the page's configuration; return the state of each target."""
    token = re.search("^INTERNALS_TOKEN=(.+)$", (road.folder / "production.env").read_text(), re.MULTILINE)
    (road.folder / "internals_token").write_text(token[1])
    block = documented("Prometheus").replace("/etc/prometheus", str(road.folder))
    assert "scheme: https" in block
    forward = f"scheme: http\n    proxy_url: http://127.0.0.1:{proxy.port}\n    scrape_interval: 1s"
    file, port = road.folder / "prometheus.yml", free_port()
    file.write_text(block.replace("scheme: https", forward))
    arguments = [
        f"--config.file={file}",
        f"--storage.tsdb.path={road.folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    prometheus = Process([PROMETHEUS, *arguments], road.environment, road.folder / "prometheus.log")
    with killed_on_exit(prometheus):
        eventually(lambda: set(targets(port).values()) == {"up"}, 30)
        return targets(port)


def targets(port: int) -> dict[str, str]:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/targets", trust_env=False)
    except httpx.HTTPError:
        return {}
    if answer.status_code != 200:
        return {}
    return {
        one["labels"]["instance"].partition(":")[0]: one["health"] for one in answer.json()["data"]["activeTargets"]
    }


def test_what_the_page_says_leads_from_an_empty_machine_to_production(road):
    type_sql(road, documented("The database"))
    road.type(documented("The secrets"))
    with (road.folder / "production.env").open("a") as file:
        file.write(road.here(documented("The settings")))
    tables = documented("The tables")
    road.type(tables)

    with running(road) as proxy:
        link = road.type(in_production(documented("Yourself").splitlines()[0]))
        report = road.type(in_production("python3 manage.py doctor --json || true"))
        plans = ask(proxy, "product", "/api/subscriptions/plans")
        scraped = scrape(road, proxy)

    assert re.search(r"https://ops\.example\.com/admin/password/\?token=\S+", link)
    assert failures(report) == set(HOSTS)  # whose names no one has registered
    assert [plan["id"] for plan in plans.json()["plans"]] == ["starter", "growth", "scale"]
    assert scraped == dict.fromkeys(HOSTS.values(), "up")

    road.type(f"{tables.splitlines()[1]}\n{documented('A copy')}")
    (dump,) = road.folder.glob("*.dump")
    assert dump.stat().st_size > 100_000
