"""What we are made of: pinned, hashed, above the floors, licensed for use, and without a secret among it. (T67)"""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.txt").read_text()


def pins(lock: str) -> dict[str, str]:
    return {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)}


PINNED, IMAGE = pins(LOCK), pins((ROOT / ".ci" / "image.txt").read_text())
_IN_IMAGE = {re.sub(r"[-_.]+", "-", name) for name in IMAGE}
FLOORS = dict(re.findall(r"^([\w.-]+)>=(\S+)", (ROOT / ".ci" / "floors.txt").read_text(), re.MULTILINE))
MAY_BE_USED = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software Foundation|MPL|Mozilla|LGPL|ISC|CC0|Unlicense|Public Domain"
)
BIN = Path(sys.executable).parent
NO_SERVICE = re.compile(r"Connect|Max retries|resolve|Proxy|timed out|\b40[34]\b|SSL|could not be audited")


def test_everything_is_pinned_with_hashes() -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", LOCK.strip(), flags=re.MULTILINE))

    assert len(entries) == len(re.findall(r"^[\w.-]+==", LOCK, re.MULTILINE)) > 50
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_image_has_the_pinned_packages_without_those_of_tests() -> None:
    assert IMAGE.items() <= PINNED.items()
    assert not IMAGE.keys() & {
        "pytest",
        "pytest-django",
        "hypothesis",
        "oidc-provider-mock",
        "flask",
        "uvicorn",
        "aiosmtpd",
    }
    assert "COPY .ci/image.txt" in (ROOT / "Dockerfile").read_text()


def test_what_runs_in_production_imports_nothing_that_the_image_lacks() -> None:
    where = packages_distributions()
    imported = {name for path in _code_of_the_image() for name in _imported(path)}

    assert {
        name for name in imported & where.keys() if not {_plain(one.lower()) for one in where[name]} & _IN_IMAGE
    } == set()


def _code_of_the_image() -> Iterator[Path]:
    """Not what only tests and the development commands use."""
    for top in ("saas", "product", "admin_ops", "parity", "webhooks"):
        for path in (ROOT / top).rglob("*.py"):
            is_for_developers = {"tests", "testing", "conformance"} & set(path.parts)
            if not is_for_developers and path.name not in {"supervisor.py", "bench.py", "up.py", "demo_history.py"}:
                yield path


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("name", FLOORS)
def test_nothing_is_below_the_version_that_mended_a_known_fault(name: str) -> None:
    assert Version(PINNED[name]) >= Version(FLOORS[name])


def test_every_licence_is_listed_and_lets_us_use_it() -> None:
    rows = re.findall(
        r"^\| ([\w.-]+) +\| (\S+) +\| (.+?) +\|$", (ROOT / "saas/docs/licences.md").read_text(), re.MULTILINE
    )
    listed = {name.lower() for name, _, _ in rows}

    here = {_plain(one.metadata["Name"].lower()) for one in distributions()}  # some are for other systems and Pythons
    assert {_plain(name) for name in PINNED} & here <= {_plain(name) for name in listed}, "run .ci/supply"
    assert [row for row in rows[1:] if not MAY_BE_USED.search(row[2]) and row[2] != "License"] == []


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name)


def tool(name: str) -> str:
    found = BIN / name
    if not found.exists():
        pytest.skip(f"needs {name}: pip install -r .ci/requirements.txt")
    return str(found)


@pytest.mark.long
def test_the_bill_of_materials_names_every_pinned_package(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"

    subprocess.run(
        [tool("cyclonedx-py"), "requirements", str(ROOT / ".ci" / "image.txt"), "--of", "JSON", "-o", str(out)],
        check=True,
    )

    named = {one["name"].lower(): one["version"] for one in json.loads(out.read_text())["components"]}
    assert IMAGE.items() <= named.items()


@pytest.mark.long
def test_no_key_or_password_is_in_the_code(tmp_path: Path) -> None:
    """A false alarm goes into the baseline: detect-secrets scan --baseline .ci/secrets.baseline, then audit."""
    files = [
        str(path.relative_to(ROOT))
        for top in ("saas", "product", "admin_ops", "parity", "webhooks", ".ci")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and not {"tests", "testing", "__pycache__"} & set(path.parts) and path.suffix != ".baseline"
    ]

    baseline = shutil.copy(ROOT / ".ci" / "secrets.baseline", tmp_path)  # it writes new line numbers into it
    found = subprocess.run(
        [tool("detect-secrets-hook"), "--baseline", baseline, *files],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert found.returncode in {0, 3}, found.stdout  # 3: only lines have moved


def audited(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [tool("pip-audit"), "--strict", "--disable-pip", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the vulnerability service did not answer within a minute")
    if NO_SERVICE.search(done.stderr):
        pytest.skip("the vulnerability service cannot be reached from here")
    return done


@pytest.mark.long
def test_no_known_vulnerability_is_in_the_lock(tmp_path: Path) -> None:
    """An audit that finds nothing in a version that is known to be bad has looked at nothing."""
    canary = tmp_path / "canary.txt"
    canary.write_text("pyjwt==2.3.0\n")

    assert "PYSEC" in (found := audited("--no-deps", "-r", str(canary))).stdout or "GHSA" in found.stdout, found.stderr
    assert (done := audited("--require-hashes", "-r", ".ci/image.txt")).returncode == 0, done.stdout
