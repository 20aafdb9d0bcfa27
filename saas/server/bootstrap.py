"""Create a virtual environment with the pinned requirements: what ``manage.py`` does before Django can be imported.

Standard library only. Outside a virtual environment it makes ``.venv`` in the repository and starts again inside it; in
an active one it installs there. A stamp file holds the hash of the installed requirements, so a second start costs nothing;
during an installation it holds ``incomplete``, so an interrupted one is repeated.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements.txt"
VENV = ROOT / ".venv"
STAMP = "saas-requirements"
INCOMPLETE = "incomplete"
STRICT_COMMANDS = {"up", "test"}  # in the user's own environment, all others only require Django
INTERRUPTED = 130
PARALLEL_OPTIONS = ["-n", "auto", "--maxprocesses", "8", "--dist", "loadgroup"]


class BootstrapError(Exception):
    """Its message tells the user in one sentence what to do."""


def ensure_environment(arguments: Sequence[str]) -> None:
    """Return once this process can run ``manage.py``'s ``arguments``; else re-execute in ``.venv``, or exit with a message."""
    try:
        if sys.prefix == sys.base_prefix:
            python = str(_python(_ensure_venv()))
            os.execv(python, [python, *sys.orig_argv[1:]])  # noqa: S606
        _install_missing(Path(sys.prefix), strictly=bool(STRICT_COMMANDS & {*arguments[:1]}))
    except BootstrapError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        _say("Interrupted. The next start does it again.")
        sys.exit(INTERRUPTED)


def run_tests(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by pytest, whose configuration names the settings. Without arguments run all tests in parallel."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *(arguments or PARALLEL_OPTIONS)])  # noqa: S606


def _ensure_venv() -> Path:
    """Return ``.venv``, created and filled if it is not usable."""
    if not _is_usable(VENV):
        VENV.mkdir(exist_ok=True)
        with _locked(VENV) as lock:
            if not _is_made(VENV):
                _make(VENV, lock)
            if not _is_usable(VENV):
                _install(VENV, lock, again=False)
    return VENV


def _install_missing(environment: Path, *, strictly: bool) -> None:
    """Install missing requirements into an active environment."""
    if not _is_incomplete(environment, strictly=strictly):
        return
    with _locked(environment) as lock:
        if _stamp(environment) != INCOMPLETE and _has_pinned_versions():
            _write_stamp(environment, _wanted())  # installed by hand, or by another clone
        elif _is_incomplete(environment, strictly=strictly):
            _install(environment, lock, again=_stamp(environment) == INCOMPLETE)
    invalidate_caches()


def _is_incomplete(environment: Path, *, strictly: bool) -> bool:
    return find_spec("django") is None or (strictly and _stamp(environment) != _wanted())


# ── State of an environment ────────────────────────────────────────────────────────────────────────────────────────────────────


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _is_made(environment: Path) -> bool:
    """False also if its Python is missing, or if its installation was interrupted."""
    return _python(environment).exists() and _stamp(environment) != INCOMPLETE


def _is_usable(environment: Path) -> bool:
    return _is_made(environment) and _stamp(environment) == _wanted()


def _wanted() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _has_pinned_versions() -> bool:
    """Whether this Python has every pinned version. Pins with a marker are skipped."""
    pins = re.findall(r"^([\w.-]+)==(\S+) \\$", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    try:
        return pins != [] and all(version(name) == pin for name, pin in pins)
    except PackageNotFoundError:
        return False


def _stamp(environment: Path) -> str:
    try:
        return (environment / STAMP).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def _write_stamp(environment: Path, text: str) -> None:
    draft = environment / f".{STAMP}.{os.getpid()}"
    draft.write_text(text, encoding="ascii")
    draft.replace(environment / STAMP)


# ── Installation ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _make(environment: Path, lock: int) -> None:
    """Create the environment anew."""
    uv = shutil.which("uv")
    if not uv and not _has(sys.executable, "ensurepip"):
        raise BootstrapError(
            "This Python cannot make a virtual environment (no ensurepip): install it, "
            "on Debian and Ubuntu with `apt install python3-venv`, and start again."
        )
    _say(f"Making a virtual environment in {environment.name} …")
    _write_stamp(environment, INCOMPLETE)
    for entry in environment.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != STAMP:
            entry.unlink()
    _run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(environment)], lock)


def _install(environment: Path, lock: int, *, again: bool) -> None:
    """``again``: an earlier installation was interrupted, so reinstall everything."""
    wanted, uv = _wanted(), shutil.which("uv")
    if uv:
        options = ["--quiet", "--compile-bytecode", *(["--reinstall"] if again else [])]
        command = [uv, "pip", "install", "--python", str(_python(environment)), *options]
    else:
        command = _pip(environment, lock, again=again)
    _say(f"Installing the pinned requirements into {environment.name} with {'uv' if uv else 'pip'} (once) …")
    _write_stamp(environment, INCOMPLETE)
    _run([*command, "--require-hashes", "--no-deps", "-r", str(REQUIREMENTS)], lock)
    _write_stamp(environment, wanted)


def _pip(environment: Path, lock: int, *, again: bool) -> list[str]:
    python = str(_python(environment))
    if not _has(python, "pip"):
        if not _has(python, "ensurepip"):
            raise BootstrapError(f"{environment} has no pip: install it there, or put uv on the PATH, and start again.")
        _say(f"Adding pip to {environment.name} …")
        _run([python, "-m", "ensurepip"], lock)
    options = ["--quiet", "--quiet", *(["--force-reinstall"] if again else [])]  # errors only
    return [python, "-m", "pip", "install", *options]


def _has(python: str, module: str) -> bool:
    check = [python, "-c", f"import {module}"]
    return subprocess.run(check, stderr=subprocess.DEVNULL, check=False).returncode == 0  # noqa: S603


def _run(command: Sequence[str], lock: int) -> None:
    """Run an installer and show only its errors. It inherits the lock, should this process be killed."""
    # The interpreter is named by path: uv must not fetch another one.
    quiet = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(  # noqa: S603
        command, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[lock], check=False
    )
    if done.returncode:
        raise BootstrapError(f"`{' '.join(command[:4])} …` failed; its message stands above.")


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold an exclusive lock on ``folder``; other starts wait and find the work done. Yields the lock's descriptor."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"Another start is preparing {folder.name}; waiting for it …")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
