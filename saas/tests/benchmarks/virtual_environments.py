"""Python environments for what is not among our requirements, baselines and the profiler: made once, kept under ``VAR_DIR``."""

import hashlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from django.conf import settings

BASELINES = Path(__file__).parent / "baselines"
_INSTALL_SECONDS = 600.0


class EnvironmentUnavailable(Exception):
    """It could not be made; says why in one line."""


def python_for(name: str, below: Path = BASELINES) -> str:
    """The executable of the environment with what ``requirements.txt`` in the folder of that name pins.

    Raises ``EnvironmentUnavailable``. Other pins, or another Python, make another environment.
    """
    requirements = below / name / "requirements.txt"
    folder = settings.VAR_DIR / "bench-environments" / f"{name}-{_mark(requirements)}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        wanted = ", ".join(requirements.read_text(encoding="utf-8").split())
        sys.stderr.write(f"Installing what is missing for {name}, once, into {folder}: {wanted} …\n")
        shutil.rmtree(folder, ignore_errors=True)  # half made
        _run(sys.executable, "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
        (folder / "complete").touch()
    return str(python)


def require_module(module: str, name: str, below: Path) -> None:
    """Make ``module`` importable here, from the environment of that name if ours lacks it. Raises ``EnvironmentUnavailable``."""
    if find_spec(module) is None:
        environment = Path(python_for(name, below)).parents[1]
        sys.path.extend(map(str, environment.glob("lib/python*/site-packages")))


def _mark(requirements: Path) -> str:
    return hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()[:12]


def _run(*command: str) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        output = (getattr(error, "stderr", "") or str(error)).strip()
        raise EnvironmentUnavailable(output.splitlines()[-1]) from error
