"""``manage.py client typescript`` writes a package that compiles strictly and takes a person through a live service."""

import json
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from saas.management.commands import client as client_command
from saas.testing.servers.stack import Stack
from saas.tests.languages import node

PASSWORD = "a horse, a battery and a staple"
TSC = ("--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "flow.ts")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    node.node_packages()  # skips where Node or npm's registry is not to be had
    folder = tmp_path_factory.mktemp("client") / "saas-client"
    call_command("client", "typescript", folder)
    return folder


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_the_package_compiles_strictly_and_takes_a_person_through_product(
    package: Path, shared_stack: Stack, tmp_path: Path
) -> None:
    run(package, "npm", "run", "build")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "saas-client").symlink_to(package)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(node.HERE / "client_flow.ts", tmp_path / "flow.ts")
    run(tmp_path, str(package / "node_modules" / ".bin" / "tsc"), *TSC)

    told = run(
        tmp_path, "node", "flow.js", shared_stack.urls["product"], f"ts-{secrets.token_hex(4)}@example.com", PASSWORD
    )

    assert json.loads(told) == {
        "user": "Tess Script",
        "again": True,
        "names": ["Tess Script"] * 5,
        "refreshedOnce": 1,
        "renamed": "Tess",
        "invalid": "422 invalid timezone",
        "wrong": "401 invalid_credentials ",
        "stillIn": "Tess Script",
        "refreshedAgain": 2,
        "below": ["/backend/api/auth/csrf", "/backend/api/auth/logout"],
        "sessions": 1,
        "afterLogout": None,
        "ended": "401 invalid_token ",
        "signedOut": 1,
        "byCookie": True,
        "team": "Typed",
        "changed": "By cookie",
        "noSession": "401 not_authenticated ",
    }


@pytest.mark.long
def test_a_second_run_renews_the_types_and_keeps_what_was_changed(package: Path) -> None:
    own = package / "src" / "client.ts"
    schema = package / "src" / "schema.ts"
    before, text = own.read_text(), schema.read_text()
    own.write_text(f"// mine\n{before}")
    schema.write_text("")

    call_command("client", "typescript", package)

    assert own.read_text() == f"// mine\n{before}"
    assert schema.read_text() == text
    own.write_text(before)


@pytest.fixture
def _node_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_command, "_require_node", lambda: None)


@pytest.mark.usefixtures("_node_is_there")
def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(CommandError, match=r"is not empty and holds no client of this command: name another folder\.$"):
        call_command("client", "typescript", tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_without_node_one_sentence_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CommandError) as refusal:
        call_command("client", "typescript", tmp_path / "client")

    assert str(refusal.value) == (
        "This needs Node 20 or newer and npm, which fetches openapi-typescript from its registry: "
        "install them and start again."
    )
    assert not (tmp_path / "client").exists()


@pytest.mark.usefixtures("_node_is_there")
def test_without_npms_registry_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ECONNREFUSED' >&2\necho 'npm error at deep' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(CommandError) as refusal:
        call_command("client", "typescript", tmp_path / "client")

    assert str(refusal.value) == (
        "npm's registry cannot be reached, from which openapi-typescript comes: npm error code ECONNREFUSED."
    )


def test_the_package_pins_what_the_tests_lock() -> None:
    locked: dict[str, Any] = json.loads((node.HERE / "package.json").read_text())["dependencies"]
    told = json.loads((client_command.TEMPLATE / "package.json").read_text())

    pins = {**told["dependencies"], **told["devDependencies"]}
    assert pins == {name: locked[name] for name in pins}
