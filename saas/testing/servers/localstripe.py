"""Run `localstripe`, a peer for the Stripe gateway, in a virtual environment of its own on the loopback interface.

It is under the GPL: run, never imported.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from saas.testing.servers.stack import eventually, free_ports

VERSION = "1.15.10"
# Its own entry point listens on every interface.
_LAUNCH = "import sys; from aiohttp import web; from localstripe.server import app; " + (
    "web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]), print=None, access_log=None)"
)


class NotInstalled(Exception):
    """``str(error)`` says why, in a sentence."""


def localstripe_python() -> Path:
    """Return a Python that has it, installed once. Raises ``NotInstalled``."""
    folder = Path(tempfile.gettempdir()) / f"localstripe-{VERSION}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        install = [str(python), "-m", "pip", "install", "--quiet", f"localstripe=={VERSION}"]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], install):
            if subprocess.run(command, capture_output=True, timeout=300, check=False).returncode:
                raise NotInstalled(f"localstripe {VERSION} cannot be installed from PyPI here.")
        (folder / "complete").touch()
    return python


@contextmanager
def running_localstripe(python: Path) -> Iterator[str]:
    """Yield its address."""
    port = free_ports(1)
    process = subprocess.Popen([str(python), "-c", _LAUNCH, str(port)])
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: process.poll() is not None or _answers(address), 30)
        assert process.poll() is None, "localstripe ended at once"
        yield address
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2, trust_env=False).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.HTTPError:
        return False
