"""From a bare Python to one that holds the pinned requirements: what ``manage.py`` does before Django is there.

Standard library only. Outside a virtual environment it makes ``.venv`` in the repository and starts again inside it; in
an active one it installs there. A stamp in the environment tells what was installed, so a second start costs nothing;
while an installation runs the stamp says ``incomplete``, so one that was interrupted is done again.
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
STRICT_COMMANDS = {"up", "test"}  # in an environment of the user's own, all others only want Django to be there
INTERRUPTED = 130
PARALLEL_OPTIONS = ["-n", "auto", "--maxprocesses", "8", "--dist", "loadgroup"]


class BootstrapError(Exception):
    """Says in one sentence what the person at the keyboard can do."""


def ensure_environment(arguments: Sequence[str]) -> None:
    """Return once this process can run ``manage.py``'s ``arguments``, or start again in ``.venv``, or exit with a sentence."""
    try:
        if sys.prefix == sys.base_prefix:
            _start_again_in(_own_environment())
        _complete(Path(sys.prefix), strictly=bool(STRICT_COMMANDS & {*arguments[:1]}))
    except BootstrapError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        _say("Interrupted. The next start does it again.")
        sys.exit(INTERRUPTED)


def run_tests(arguments: Sequence[str]) -> NoReturn:
    """Become pytest. Its own configuration names the settings, whatever the environment says.

    Without arguments all tests run, side by side; with some, they are pytest's alone.
    """
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *(arguments or PARALLEL_OPTIONS)])  # noqa: S606


def _own_environment() -> Path:
    """``.venv``, made and filled if need be."""
    if not _is_usable(VENV):
        VENV.mkdir(exist_ok=True)
        with _locked(VENV) as lock:
            if not _is_made(VENV):
                _make(VENV, lock)
            if not _is_usable(VENV):
                _install(VENV, lock, again=False)
    return VENV


def _complete(environment: Path, *, strictly: bool) -> None:
    """Install into an active environment what it lacks."""
    if not _lacks(environment, strictly=strictly):
        return
    with _locked(environment) as lock:
        if _stamp(environment) != INCOMPLETE and _holds_the_pins():
            _write_stamp(environment, _wanted())  # installed by hand, or from another copy of this repository
        elif _lacks(environment, strictly=strictly):
            _install(environment, lock, again=_stamp(environment) == INCOMPLETE)
    invalidate_caches()


def _lacks(environment: Path, *, strictly: bool) -> bool:
    return find_spec("django") is None or (strictly and _stamp(environment) != _wanted())


def _start_again_in(environment: Path) -> NoReturn:
    python = str(_python(environment))
    os.execv(python, [python, *sys.orig_argv[1:]])  # noqa: S606


# ── What is there ────────────────────────────────────────────────────────────────────────────────────────────────────


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _is_made(environment: Path) -> bool:
    """False also for one whose Python has gone, and for one of ours that was interrupted."""
    return _python(environment).exists() and _stamp(environment) != INCOMPLETE


def _is_usable(environment: Path) -> bool:
    return _is_made(environment) and _stamp(environment) == _wanted()


def _wanted() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _holds_the_pins() -> bool:
    """Whether this Python has every pinned version. (A pin with a marker is for some Pythons only, and not looked at.)"""
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


# ── Making it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _make(environment: Path, lock: int) -> None:
    """A fresh environment in the place of whatever half of one is there."""
    uv = shutil.which("uv")
    if not uv and not _has(sys.executable, "ensurepip"):
        raise BootstrapError(
            "This Python cannot make a virtual environment (no ensurepip): install it, "
            "on Debian and Ubuntu with `apt install python3-venv`, and start again."
        )
    _say(f"Making a virtual environment in {environment.name} …")
    _write_stamp(environment, INCOMPLETE)
    _clear(environment)
    _run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(environment)], lock)


def _clear(environment: Path) -> None:
    for entry in environment.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != STAMP:
            entry.unlink()


def _install(environment: Path, lock: int, *, again: bool) -> None:
    """``again``: an earlier installation was interrupted, so nothing that looks installed is believed."""
    wanted, uv = _wanted(), shutil.which("uv")
    command = _uv(environment, uv, again=again) if uv else _pip(environment, lock, again=again)
    _say(f"Installing the pinned requirements into {environment.name} with {'uv' if uv else 'pip'} (once) …")
    _write_stamp(environment, INCOMPLETE)
    _run([*command, "--require-hashes", "--no-deps", "-r", str(REQUIREMENTS)], lock)
    _write_stamp(environment, wanted)


def _uv(environment: Path, uv: str, *, again: bool) -> list[str]:
    options = ["--quiet", "--compile-bytecode", *(["--reinstall"] if again else [])]
    return [uv, "pip", "install", "--python", str(_python(environment)), *options]


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
    """Run an installer; only its complaints are shown. It holds the lock, too, should this process be killed."""
    # The interpreter is named by path: uv must not fetch another one.
    quiet = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(  # noqa: S603
        command, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[lock], check=False
    )
    if done.returncode:
        raise BootstrapError(f"`{' '.join(command[:4])} …` failed; its message stands above.")


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """One start at a time changes ``folder``; the others wait and find the work done. Yields the lock's descriptor."""
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
