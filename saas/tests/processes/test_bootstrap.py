"""How ``manage.py`` gets from a bare Python to one that can run it. No network: the pinned package is made here.

Each case starts a real ``manage.py`` in a small repository of its own. Its ``django`` prints where and how it was started.
"""

import ast
import errno
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from saas.server import bootstrap
from saas.testing.servers.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bootstrap")]

ROOT = Path(__file__).resolve().parents[3]
BARE_PYTHON = sys._base_executable  # type: ignore[attr-defined]
FILES = ("manage.py", "saas/__init__.py", "saas/server/bootstrap.py")
PACKAGES = {
    "django/__init__.py": "VERSION = {version!r}",
    "django/core/__init__.py": "",
    "django/core/management/__init__.py": (
        "import django, json, os, sys\n"
        "def execute_from_command_line(argv):\n"
        "    settings = os.environ['DJANGO_SETTINGS_MODULE']\n"
        "    print(json.dumps([sys.prefix, argv[1:], django.VERSION, settings]))\n"
    ),
    "pytest/__init__.py": "",
    "pytest/__main__.py": (
        "import json, os, sys\n"
        "removed = {'DJANGO_SETTINGS_MODULE', 'PYTHONDONTWRITEBYTECODE'}\n"
        "print(json.dumps([sys.prefix, sys.argv[1:], sorted(removed & {*os.environ})]))\n"
    ),
}

# Stands for uv: unpacks the package where it is told to, and notes how it was called. It takes moments where pip takes seconds.
UV = """#!{python}
import glob, json, os, re, sys, zipfile
folder = os.path.dirname(os.path.abspath(__file__))
json.dump([sys.argv[1:], os.environ["UV_PYTHON_DOWNLOADS"]], open(folder + "/called.json", "w"))
version = re.search(r"django==(\\S+)", open(sys.argv[-1]).read()).group(1)
target = sys.argv[sys.argv.index("--python") + 1]
packages = glob.glob(os.path.dirname(os.path.dirname(target)) + "/lib/python*/site-packages")[0]
zipfile.ZipFile(os.environ["PIP_FIND_LINKS"] + "/django-" + version + "-py3-none-any.whl").extractall(packages)
"""


class TerminalStream(io.StringIO):
    def isatty(self) -> bool:
        return True


class Repository:
    """A clone that nobody has started yet, and the packages that its requirements can come from."""

    def __init__(self, folder: Path, *, has_uv: bool) -> None:
        self.folder = folder
        self.tools = folder / "tools"
        self.tools.mkdir()
        if has_uv:
            (self.tools / "uv").write_text(UV.format(python=BARE_PYTHON))
            (self.tools / "uv").chmod(0o755)
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        for name in FILES:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.require("1.0")

    @property
    def own(self) -> Path:
        return self.folder / ".venv"

    def require(self, version: str, digest: str = "") -> None:
        """Pin the package at ``version``, as a lock does."""
        right = hashlib.sha256(wheel(self.wheels, version).read_bytes()).hexdigest()
        (self.folder / "requirements.txt").write_text(f"django=={version} \\\n    --hash=sha256:{digest or right}\n")

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": str(self.tools),
            "HOME": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",  # two versions made in one second look the same to a cached .pyc
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            **more,
        }

    def start(self, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        process = self.begin(*arguments, **options)
        output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def begin(self, *arguments: str, python: str | Path = BARE_PYTHON, **environment: str) -> "subprocess.Popen[str]":
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        command = [python, "manage.py", *arguments]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment(**environment), **pipes)  # type: ignore[call-overload]


def wheel(folder: Path, version: str) -> Path:
    """A package that stands for Django and pytest."""
    path = folder / f"django-{version}-py3-none-any.whl"
    about = f"django-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in PACKAGES.items():
            archive.writestr(name, text.replace("{version!r}", repr(version)))
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: django\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def saw(result: "subprocess.CompletedProcess[str]") -> list[Any]:
    assert result.returncode == 0, result.stderr
    found: list[Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def bare(tmp_path: Path) -> Repository:
    return Repository(tmp_path, has_uv=True)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The Python of an empty environment that somebody has just made."""
    subprocess.run([BARE_PYTHON, "-m", "venv", "--without-pip", str(tmp_path / "mine")], check=True)
    return tmp_path / "mine" / "bin" / "python"


@pytest.fixture
def no_ensurepip(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python is as Debian ships it."""
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / "ensurepip.py").write_text("raise ImportError\n")
    return {"PYTHONPATH": str(tmp_path / "missing")}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository that has been started once, where there is no uv."""
    repository = Repository(tmp_path_factory.mktemp("started"), has_uv=False)
    result = repository.start("migrate", "--plan")
    assert saw(result) == [str(repository.own), ["migrate", "--plan"], "1.0", "saas.settings.product"]
    making, installing, *_, installed = result.stderr.splitlines()
    assert making == "Making a virtual environment in .venv …"
    assert installing == (
        "Installing the pinned requirements into .venv with pip (1, once; it takes a minute or two) …"
    )
    assert re.fullmatch(r"Installed in \d+ s\.", installed)
    return repository


def test_a_second_start_installs_nothing_and_says_nothing(started: Repository) -> None:
    result = started.start("check")

    assert saw(result)[0] == str(started.own)
    assert result.stderr == ""


def test_test_becomes_pytest_with_its_own_settings_and_compiled_files(started: Repository) -> None:
    result = started.start("test", "-k", "login", DJANGO_SETTINGS_MODULE="saas.settings.parity")

    assert saw(result) == [str(started.own), ["-k", "login"], []]


def test_changed_requirements_are_installed_before_the_next_start(started: Repository) -> None:
    started.require("2.0.0")

    result = started.start("check")

    assert saw(result)[2] == "2.0.0"
    assert "Installing" in result.stderr
    assert started.start("check").stderr == ""


def test_a_package_without_its_pinned_hash_is_refused(started: Repository) -> None:
    started.require("3.0", digest="0" * 64)

    refused = started.start("check")

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr
    assert refused.stderr.endswith("failed; its message stands above.\n")
    assert "Traceback" not in refused.stderr
    assert (started.own / "saas-requirements").read_text() == "incomplete"


def test_a_package_index_that_is_away_is_told_in_a_sentence(tmp_path: Path) -> None:
    repository = Repository(tmp_path, has_uv=False)
    away = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": "", "PIP_RETRIES": "1"}

    result = repository.start("up", **away)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == (
        "The package index cannot be reached: check the network (or PIP_INDEX_URL and the proxy), and start again."
    )


def test_a_terminal_shows_what_pip_fetches_and_how_much_is_installed(tmp_path: Path) -> None:
    terminal = TerminalStream()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with bootstrap.Progress(tmp_path, total=2) as progress:
            progress.read("Collecting django==5.2.19 (from -r requirements.txt (line 3))\n")
            eventually(lambda: "fetching 1 of 2: django 5.2.19 (" in terminal.getvalue())
            marker = tmp_path / "lib/python3.12/site-packages/django-5.2.19.dist-info/INSTALLER"
            marker.parent.mkdir(parents=True)
            marker.touch()
            eventually(lambda: "installed 1 of 2 (" in terminal.getvalue())

    assert terminal.getvalue().endswith("\r\033[K")  # nothing of it stays


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(bare: Repository) -> None:
    bare.own.touch()

    result = bare.start("up")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"{bare.own} cannot be used: a file stands where a folder is needed. Mend that and start again.\n"
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_cannot_be_written_is_no_traceback(number: int) -> None:
    with pytest.raises(SystemExit, match=r"^/somewhere/var cannot be used: .*\. Mend that and start again\.$"):
        bootstrap.exit_for(OSError(number, "as the system says", "/somewhere/var"))


def test_who_installs_for_themselves_gets_an_environment_nevertheless(tmp_path: Path) -> None:
    result = Repository(tmp_path, has_uv=False).start("check", PIP_USER="1")

    assert saw(result)[0] == str(tmp_path / ".venv")


def test_any_other_error_of_the_system_keeps_its_traceback() -> None:
    with pytest.raises(ChildProcessError):
        bootstrap.exit_for(ChildProcessError(errno.ECHILD, "No child processes"))


def test_uv_is_used_where_it_is_and_must_not_fetch_an_interpreter(bare: Repository) -> None:
    result = bare.start("check")

    arguments, downloads = json.loads((bare.tools / "called.json").read_text())
    assert saw(result)[0] == str(bare.own)
    assert arguments[:4] == ["pip", "install", "--python", str(bare.own / "bin" / "python")]
    assert {"--require-hashes", "--compile-bytecode"} < set(arguments)
    assert downloads == "never"


def test_after_a_killed_installation_two_concurrent_starts_repair_it(bare: Repository) -> None:
    killed = bare.begin("check")
    for line in killed.stderr or ():
        if line.startswith("Making"):
            os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()

    both = [bare.begin("check"), bare.begin("check")]
    outputs = [process.communicate(timeout=60) for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert all(json.loads(output)[0] == str(bare.own) for output, _ in outputs)
    assert sum("Making a virtual environment" in errors for _, errors in outputs) == 1
    assert sum("Installing" in errors for _, errors in outputs) == 1


def test_half_an_environment_is_made_anew(bare: Repository) -> None:
    bare.start("check")
    (bare.own / "saas-requirements").write_text("incomplete")
    (bare.own / "left behind").touch()

    assert saw(bare.start("check"))[0] == str(bare.own)
    assert not (bare.own / "left behind").exists()


def test_an_environment_whose_python_has_gone_is_made_anew(bare: Repository) -> None:
    bare.start("check")
    (bare.own / "bin" / "python").unlink()

    assert saw(bare.start("check"))[0] == str(bare.own)


def test_an_empty_environment_that_is_active_is_the_one_that_is_filled(bare: Repository, mine: Path) -> None:
    result = bare.start("migrate", python=mine)

    assert saw(result)[0] == str(mine.parents[1])
    assert result.stderr.startswith("Installing the pinned requirements into mine with uv (1, once;")
    assert not bare.own.exists()


def test_in_an_active_environment_only_up_and_test_install_changes(bare: Repository, mine: Path) -> None:
    bare.start("migrate", python=mine)
    bare.require("2.0.0")

    migrate = bare.start("migrate", python=mine)
    up = bare.start("up", python=mine)

    assert (saw(migrate)[2], migrate.stderr) == ("1.0", "")
    assert saw(up)[2] == "2.0.0"


def test_an_environment_that_was_filled_by_hand_is_left_as_it_is(bare: Repository, mine: Path) -> None:
    packages = next((mine.parents[1] / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel(bare.wheels, "1.0")) as archive:
        archive.extractall(packages)

    result = bare.start("up", python=mine)

    assert saw(result)[0] == str(mine.parents[1])
    assert result.stderr == ""


def test_a_python_that_cannot_make_environments_says_what_to_install(
    tmp_path: Path, no_ensurepip: dict[str, str]
) -> None:
    repository = Repository(tmp_path, has_uv=False)

    result = repository.start("up", **no_ensurepip)

    assert (result.returncode, result.stdout) == (1, "")
    assert "apt install python3-venv" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (repository.own / "bin").exists()


def test_an_active_environment_without_any_pip_says_so(
    tmp_path: Path, mine: Path, no_ensurepip: dict[str, str]
) -> None:
    result = Repository(tmp_path, has_uv=False).start("up", python=mine, **no_ensurepip)

    assert result.returncode == 1
    assert result.stderr == (
        f"{mine.parents[1]} has no pip: install it there, or put uv on the PATH, and start again.\n"
    )


def test_a_python_that_is_too_old_says_so() -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 8, 10); runpy.run_path('manage.py')"

    result = subprocess.run([BARE_PYTHON, "-c", pretend], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr == f"This needs Python 3.11 or newer; {BARE_PYTHON} is 3.8.\n"


def test_manage_can_be_read_by_a_python_that_is_too_old() -> None:
    source = (ROOT / "manage.py").read_text()

    assert source.isascii()
    ast.parse(source, feature_version=(3, 4))
    assert 'f"' not in source


def test_pytest_itself_works_in_the_environment_wherever_it_is_started(tmp_path: Path) -> None:
    file = ROOT / "saas/tests/test_money.py"
    command = [Path(sys.executable).parent / "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", file]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
