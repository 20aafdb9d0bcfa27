"""Node and the packages of ``package.json``, installed once for each lock into a folder of the machine's temporary ones."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OLDEST = 20
INSTALL_SECONDS = 120


def node_packages() -> Path:
    """A folder with ``node_modules``; the test is skipped, with a sentence, where it cannot be had."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs Node and npm")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < OLDEST:
        pytest.skip(f"needs Node {OLDEST} or newer, and this is {version.strip()}")
    lock = (HERE / "package-lock.json").read_bytes()
    target = Path(tempfile.gettempdir()) / f"saas-node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (target / "complete").exists():
        _install(target)
    return target


def _install(target: Path) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, target)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"npm's registry cannot be reached: {done.stderr.strip()[-200:]}")
    (target / "complete").touch()
