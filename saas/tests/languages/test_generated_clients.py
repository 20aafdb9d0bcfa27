"""Clients generated from the four OpenAPI documents, as saas/docs/clients.md says, call the services."""

import importlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from saas.api.openapi import schema_files
from saas.testing.openapi import SERVICES
from saas.testing.servers.stack import Stack
from saas.tests.languages import node

pytestmark = pytest.mark.long

PASSWORD = "a horse, a battery and a staple"


@pytest.fixture(scope="module")
def python_clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A package for each service, importable as ``client_<service>``; a warning of the generator's is a failure."""
    folder = tmp_path_factory.mktemp("clients")
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it formats with ruff
    for service in SERVICES:
        done = subprocess.run(
            [
                sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none",
                "--path", schema_files.document_path(service), "--output-path", folder / f"client_{service}",
            ],
            env={**os.environ, "PATH": tools},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert (done.returncode, "arning" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def call_operation(client: object, name: str, **arguments: object) -> object:
    """Call an operation of a generated client, such as ``client_product.api.auth.login``."""
    return importlib.import_module(name).sync(client=client, **arguments)


def load_client(service: str) -> tuple[ModuleType, ModuleType]:
    return importlib.import_module(f"client_{service}"), importlib.import_module(f"client_{service}.models")


def test_a_generated_python_client_calls_product(python_clients: Path, shared_stack: Stack) -> None:
    product, models = load_client("product")
    url, email = shared_stack.urls["product"], f"py-{secrets.token_hex(4)}@example.com"
    anonymous = product.Client(base_url=url)
    body = models.RegisterRequest(email=email, password=PASSWORD, full_name="Py Client")

    registered = call_operation(anonymous, "client_product.api.auth.register", body=body)
    taken = call_operation(anonymous, "client_product.api.auth.register", body=body)
    login = call_operation(
        anonymous, "client_product.api.auth.login", body=models.LoginRequest(email=email, password=PASSWORD)
    )
    customer = product.AuthenticatedClient(base_url=url, token=login.access_token)
    me = call_operation(customer, "client_product.api.auth.me")
    profile = call_operation(
        customer, "client_product.api.users.profile_patch", body=models.ProfileRequest(display_name="Py")
    )
    plans = call_operation(anonymous, "client_product.api.subscriptions.plans")
    checkout = call_operation(
        customer,
        "client_product.api.subscriptions.checkout_start",
        body=models.CheckoutRequest(plan_id=plans.plans[0].id),
    )
    team = call_operation(customer, "client_product.api.teams.team_create", body=models.TeamRequest(name="Typed"))
    sessions = call_operation(customer, "client_product.api.auth.sessions")
    call_operation(customer, "client_product.api.auth.logout")
    gone = call_operation(customer, "client_product.api.auth.me")

    assert (registered.user.email, taken.code) == (email, "email_taken")
    assert (me.user, me.user.status) == (registered.user, models.UserStatus.ACTIVE)
    assert (profile.display_name, team.team.name, sessions.count) == ("Py", "Typed", 2)
    assert checkout.checkout.plan.id == plans.plans[0].id
    assert (gone.status, gone.code) == (401, "invalid_token")


def test_a_generated_python_client_follows_paritys_naming(python_clients: Path, shared_stack: Stack) -> None:
    parity, models = load_client("parity")
    url, email = shared_stack.urls["parity"], f"py-{secrets.token_hex(4)}@example.com"
    body = models.RegisterRequest(email=email, password=PASSWORD, full_name="Py Client")

    registered = call_operation(parity.Client(base_url=url), "client_parity.api.auth.register", body=body)
    customer = parity.AuthenticatedClient(base_url=url, token=registered.access_token)
    profile = call_operation(
        customer, "client_parity.api.users.profile_put", body=models.ProfileRequest(display_name="Py")
    )

    assert body.to_dict() == {"email": email, "password": PASSWORD, "fullName": "Py Client"}
    assert (registered.user.full_name, profile.display_name) == ("Py Client", "Py")


def test_generated_typescript_is_strict_and_calls_every_service(shared_stack: Stack, tmp_path: Path) -> None:
    packages = node.node_packages()
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(node.HERE / "flow.ts", tmp_path)
    generate = [(schema_files.document_path(service), "-o", f"{service}.ts") for service in SERVICES]
    outputs = [run(tmp_path, "openapi-typescript", *arguments) for arguments in generate]
    assert not [output for output in outputs if "warn" in output.lower()]
    run(tmp_path, "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "flow.ts")
    urls = [shared_stack.urls[service] for service in SERVICES_IN_THE_FLOW]
    done = subprocess.run(
        ["node", "flow.js", *urls, f"ts-{secrets.token_hex(4)}@example.com", PASSWORD],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "user": "Tess Script",
        "plans": ["starter", "growth", "scale"],
        "team": "Typed",
        "refused": ["timezone"],
        "same": True,
        "displayName": "Tess",
        "staff": 401,
        "alive": "ok",
    }


SERVICES_IN_THE_FLOW = ("product", "parity", "admin_ops", "webhooks")


def run(folder: Path, tool: str, *arguments: object) -> str:
    """One of the installed packages' programs."""
    command = [folder / "node_modules" / ".bin" / tool, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
