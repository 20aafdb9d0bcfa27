"""Create a virtual environment with the pinned requirements: what ``manage.py`` does before Django can be imported.

Standard library only. Outside a virtual environment it makes ``.venv`` in the repository and starts again inside it; in
an active one it installs there. A stamp file holds the hash of the installed requirements, so a second start costs nothing;
during an installation it holds ``incomplete``, so an interrupted one is repeated.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements.txt"
VENV = ROOT / ".venv"
STAMP = "saas-requirements"
INCOMPLETE = "incomplete"
STRICT_COMMANDS = {"up", "test", "bench"}  # in the user's own environment, all others only require Django
INTERRUPTED = 130
PARALLEL_OPTIONS = ["-n", "auto", "--maxprocesses", "8", "--dist", "loadgroup"]
STARTED = "SAAS_STARTED"  # "process id:monotonic seconds", kept when this process re-executes itself
PROGRESS_SECONDS, SPARSE_PROGRESS_SECONDS = 0.5, 10.0  # between two lines of progress: on a terminal, elsewhere
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "it may not be written or read",
    errno.EPERM: "it may not be changed",
    errno.EROFS: "it is on a read-only file system",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
}
_UNREACHABLE = re.compile(
    "name resolution|Name or service not known|nodename nor servname|NewConnectionError|Connection refused|"
    "Network is unreachable|No route to host|ConnectTimeout|Read timed out|ProxyError|dns error|tcp connect error|"
    "error sending request|Failed to connect|operation timed out",
    re.IGNORECASE,
)


class BootstrapError(Exception):
    """Its message tells the user in one sentence what to do."""


def ensure_environment(arguments: Sequence[str]) -> None:
    """Return once this process can run ``manage.py``'s ``arguments``; else re-execute in ``.venv``, or exit with a message."""
    if not os.environ.get(STARTED, "").startswith(f"{os.getpid()}:"):
        os.environ[STARTED] = f"{os.getpid()}:{time.monotonic()}"
    try:
        if sys.prefix == sys.base_prefix:
            python = str(_python(_ensure_venv()))
            os.execv(python, [python, *sys.orig_argv[1:]])  # noqa: S606
        _install_missing(Path(sys.prefix), strictly=bool(STRICT_COMMANDS & {*arguments[:1]}))
    except BootstrapError as error:
        sys.exit(str(error))
    except OSError as error:
        exit_for(error)
    except KeyboardInterrupt:
        _say("Interrupted. The next start does it again.")
        sys.exit(INTERRUPTED)


def seconds_since_start() -> float:
    """Return how long ago the user started this process, with what was installed before."""
    return time.monotonic() - float(os.environ[STARTED].partition(":")[2])


def allow_every_character() -> None:
    """Have standard output replace what its encoding lacks (a terminal in Latin-1), instead of ending the command."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")


def flush_output() -> None:
    """Raise ``OSError`` now if what was written cannot be, not when the interpreter ends."""
    print(end="", flush=True)  # noqa: T201


def _is_output_broken() -> bool:
    try:
        sys.stdout.write("\n")
        flush_output()
    except OSError:
        return True
    return False


def discard_output() -> None:
    """Send what is still written to standard output nowhere: the program that read it has ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_for(error: OSError) -> NoReturn:
    """Exit with one sentence about a disk or folder that cannot be used, and without a word where output was piped to a
    program that has ended (``| head``). Raise any other error again."""
    if isinstance(error, BrokenPipeError) and _is_output_broken():
        discard_output()
        sys.exit(1)
    if error.errno not in _REASONS or "--traceback" in sys.argv:
        raise error
    where = error.filename2 or error.filename
    sys.exit(f"{where or 'Writing'} cannot be used: {_REASONS[error.errno]}. Mend that and start again.")


def run_tests(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by pytest, whose configuration names the settings. Without arguments run all tests in parallel.

    With ``--mutate`` the tests are tested.

    Python may keep its compiled files: else every worker, and every process that a test starts, compiles all modules again.
    """
    for name in ("DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    os.chdir(ROOT)
    module = "saas.testing.mutation" if "--mutate" in arguments else "pytest"
    if module != "pytest" and not (find_spec("cosmic_ray") and find_spec("pytest_cov")):
        sys.exit(f"--mutate needs what the linters need: {sys.executable} -m pip install -r .ci/requirements.txt")
    os.execv(sys.executable, [sys.executable, "-m", module, *(arguments or PARALLEL_OPTIONS)])  # noqa: S606


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


def _pins() -> list[tuple[str, str]]:
    """Return name and version of each pin without a marker."""
    return re.findall(r"^([\w.-]+)==(\S+) \\$", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)


def _has_pinned_versions() -> bool:
    """Whether this Python has every pinned version. Pins with a marker are skipped."""
    pins = _pins()
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
    started, progress = time.monotonic(), Progress(environment, len(_pins()))
    _say(
        f"Installing the pinned requirements into {environment.name} with {'uv' if uv else 'pip'} "
        f"({progress.total}, once; it takes a minute or two) …"
    )
    _write_stamp(environment, INCOMPLETE)
    with progress:
        _run([*command, "--require-hashes", "--no-deps", "-r", str(REQUIREMENTS)], lock, progress)
    _write_stamp(environment, wanted)
    _say(f"Installed in {time.monotonic() - started:.0f} s.")


def _pip(environment: Path, lock: int, *, again: bool) -> list[str]:
    python = str(_python(environment))
    if not _has(python, "pip"):
        if not _has(python, "ensurepip"):
            raise BootstrapError(f"{environment} has no pip: install it there, or put uv on the PATH, and start again.")
        _say(f"Adding pip to {environment.name} …")
        _run([python, "-m", "ensurepip"], lock)
    return [python, "-m", "pip", "install", *(["--force-reinstall"] if again else [])]


def _has(python: str, module: str) -> bool:
    check = [python, "-c", f"import {module}"]
    return subprocess.run(check, stderr=subprocess.DEVNULL, check=False).returncode == 0  # noqa: S603


class Progress:
    """Says how far an installer is: the package that pip fetches, then how many are installed, and the seconds so far.

    While its block runs. On a terminal one line that changes, elsewhere a line now and then.
    """

    def __init__(self, environment: Path, total: int) -> None:
        self.total = total
        self._environment = environment
        self._before = self._installed()
        self._stage = "fetching"
        self._fetched = 0
        self._ended = Event()
        self._started = time.monotonic()
        self._thread = Thread(target=self._report, daemon=True)

    def read(self, line: str) -> None:
        """Take note of a line of pip's output."""
        if found := re.match(r"Collecting ([\w.-]+)==([^\s;]+)", line):
            self._fetched += 1
            self._stage = f"fetching {self._fetched} of {max(self.total, self._fetched)}: {found[1]} {found[2]}"
        elif "Retrying" in line:
            self._stage = "the package index does not answer; trying again"

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _report(self) -> None:
        is_terminal = sys.stderr.isatty()
        while not self._ended.wait(PROGRESS_SECONDS if is_terminal else SPARSE_PROGRESS_SECONDS):
            installed = self._installed() - self._before
            stage = f"installed {installed} of {max(self.total, installed)}" if installed > 0 else self._stage
            line = f"  {stage} ({time.monotonic() - self._started:.0f} s)"
            sys.stderr.write(f"\r\033[K{line}" if is_terminal else f"{line}\n")
            sys.stderr.flush()
        if is_terminal:
            sys.stderr.write("\r\033[K")

    def _installed(self) -> int:
        return len(list(self._environment.glob("lib/python*/site-packages/*.dist-info/INSTALLER")))


def _run(command: Sequence[str], lock: int, progress: Progress | None = None) -> None:
    """Run an installer and show only its errors. It inherits the lock, should this process be killed."""
    # The interpreter is named by path: uv must not fetch another one.
    # ``user = true`` in pip's configuration would make pip refuse to install into a virtual environment.
    ours = {"UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0"}
    lines = []
    with subprocess.Popen(  # noqa: S603
        command,
        env={**os.environ, **ours},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock],
    ) as installer:
        for line in installer.stdout or ():
            lines.append(line)
            if progress:
                progress.read(line)
    if installer.returncode:
        raise BootstrapError(_failure(command, lines))


def _failure(command: Sequence[str], lines: Sequence[str]) -> str:
    """Return one sentence for a network or disk that cannot be used; else the installer's errors and what failed."""
    text = "".join(lines)
    if _UNREACHABLE.search(text) and "HASHES" not in text:
        return (
            "The package index cannot be reached: check the network (or PIP_INDEX_URL and the proxy), and start again."
        )
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return f"The disk is full: the environment needs about 400 MB in {ROOT}. Make room and start again."
    first = next((index for index, line in enumerate(lines) if line.lower().startswith("error")), 0)
    return f"{''.join(lines[first:]).rstrip()}\n`{' '.join(command[:4])} …` failed; its message stands above."


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
