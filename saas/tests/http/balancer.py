"""HAProxy in front of two places for each service: it asks ``/health/ready``, and never sends a request a second time."""

import csv
import io
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx

from saas.testing.servers.production import HOSTS, Process
from saas.testing.servers.stack import eventually
from saas.tests.http.raw_client import Address

SLOTS = ("blue", "green")
CHECK_MILLISECONDS = 200
Slots = Mapping[str, tuple[int, int]]  # the two ports of a service by its name

_COMMON = f"""
defaults
    mode http
    retries 0
    no option redispatch
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout check 2s
    option httpchk GET /health/ready
    http-check expect status 200
    default-server check inter {CHECK_MILLISECONDS}ms fall 1 rise 1
"""


def haproxy_path() -> str:
    """Empty where it is not installed."""
    return shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") or ""


class Balancer(Process):
    """Keeps connections alive on both sides, and takes a server out, or in, after one answer of its probe."""

    def __init__(self, slots: Slots, folder: Path, *, port: int) -> None:
        """Takes ``port`` for itself and the next one for what it tells of its servers."""
        self.port = port
        file = folder / f"haproxy-{port}.cfg"
        file.write_text(_configuration(slots, port))
        super().__init__([haproxy_path(), "-db", "-f", str(file)], {}, file.with_suffix(".log"))

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    def is_up(self, service: str, slot: int) -> bool:
        """Whether it sends requests there."""
        statistics = httpx.get(f"http://127.0.0.1:{self.port + 1}/;csv", trust_env=False).text
        rows = csv.DictReader(io.StringIO(statistics.removeprefix("# ")))
        return any((row["pxname"], row["svname"], row["status"]) == (service, SLOTS[slot], "UP") for row in rows)

    def wait_until_up(self, service: str, slot: int) -> None:
        eventually(lambda: self.is_up(service, slot), 60)


def _configuration(slots: Slots, port: int) -> str:
    front = [
        f"frontend front\n    bind 127.0.0.1:{port}",
        *(f"    use_backend {service} if {{ hdr(host) -i {HOSTS[service]} }}" for service in slots),
        f"frontend statistics\n    bind 127.0.0.1:{port + 1}\n    stats enable\n    stats uri /",
    ]
    back = [
        "\n".join(
            [
                f"backend {service}",
                *(f"    server {name} 127.0.0.1:{own}" for name, own in zip(SLOTS, ports, strict=True)),
            ]
        )
        for service, ports in slots.items()
    ]
    return "\n".join([_COMMON, *front, *back, ""])
