"""What the import linter cannot see: where writes stand, what things are called, how long they are, what is written down."""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from saas.api.problems import CODES_AND_TITLES
from saas.api.views import StaffView
from saas.errors import DomainError
from saas.testing.openapi import SERVICES, views_by_path

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS_TO_JUDGE = {"tests", "migrations"}
WRITES = {"save", "create", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create"}
NAMES_THAT_SAY_NOTHING = {
    "utils", "helpers", "common", "core", "managers", "constants", "signals", "interfaces",
}  # fmt: skip
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 39
MAX_MODULES = 15  # in a folder; ``management/commands`` aside, where a file is a command
RAISED_BY_DRF = {"AuthenticationFailed": 401, "PermissionDenied": 403, "ParseError": 400}

# Before a member of staff is logged in there is nobody to ask for.
PUBLIC_AT_ADMIN_OPS = {
    "/health", "/health/ready", "/api/health", "/api/health/modules", "/api/health/module/{name}",
    "/metrics", "/openapi.json", "/docs", "/redoc", "/admin", "/", "/brand.css", "/brand.svg",
    "/api/admin/auth/login", "/api/admin/auth/mfa/verify", "/api/admin/auth/refresh", "/api/admin/auth/csrf",
}  # fmt: skip


@cache
def sources(*folders: str) -> list[Path]:
    """Python files of ours that run: neither tests nor migrations."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [path for path in files if not NOT_OURS_TO_JUDGE & set(path.relative_to(ROOT).parts)]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


EVERYTHING = ("saas", *SERVICES)


# ── Imports and writes ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_modules_import_only_what_their_layer_allows() -> None:
    """In a process of its own: the linter configures logging, and so would silence every logger of this one."""
    lint = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True, no_logo=True))"
    result = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Imports when a module is loaded; imports for type checkers and in functions aside."""
    paths = {module_name(path): path for path in sources(*EVERYTHING)}
    graph = {
        name: {found for found in _imported(tree(path).body, paths) if found != name} for name, path in paths.items()
    }

    assert list(TopologicalSorter(graph).static_order())  # raises CycleError with the circle


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(body: list[ast.stmt], known: Collection[str]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _imported(node.body + node.orelse, known)
        elif isinstance(node, ast.Try | ast.With):
            yield from _imported(node.body, known)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            package = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = [package + alias.name for alias in node.names]
            yield from (one for name in names for one in (name, name.rpartition(".")[0]) if one in known)


def test_services_and_the_shared_api_write_nothing_themselves() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno} {ast.unparse(call.func)}"
        for path in sources(*SERVICES, "saas/api")
        for call in calls(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in WRITES
    ]

    assert found == []


def test_domain_apps_have_no_signal_receivers() -> None:
    found = [path for path in sources(*EVERYTHING) if re.search(r"\b(pre|post)_(save|delete|init)\b", path.read_text())]

    assert found == []


def test_every_view_of_admin_ops_is_for_staff_or_on_the_list() -> None:
    public = {path for path, view in views_by_path("admin_ops").items() if not issubclass(_class(view), StaffView)}

    assert public == PUBLIC_AT_ADMIN_OPS


def _class(view: object) -> type:
    return getattr(view, "cls", None) or getattr(view, "view_class", object)


# ── Names and lengths ────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_module_has_a_name_that_says_nothing() -> None:
    found = [path for path in sources(*EVERYTHING) if {path.stem, path.parent.name} & NAMES_THAT_SAY_NOTHING]

    assert found == []


def test_no_file_is_too_long() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in sources(*EVERYTHING)}

    assert {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_folder_holds_too_many_modules() -> None:
    modules = [path for path in sources(*EVERYTHING) if path.name != "__init__.py"]
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in modules if path.parent.name != "commands")

    assert {folder: count for folder, count in counts.items() if count > MAX_MODULES} == {}


def test_no_function_is_too_long() -> None:
    found = [
        f"{path.relative_to(ROOT)} {node.name}"
        for path in sources(*EVERYTHING)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]

    assert found == []


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

BOOT = """
import django
from django.core.management import call_command
django.setup()
call_command("check", fail_level="WARNING")
call_command("makemigrations", check_changes=True, dry_run=True)
"""


@pytest.fixture(scope="module")
def boots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.Popen]:
    """Every settings module in a process of its own, all at once."""
    started = {}
    for service in SERVICES:
        extra = {
            "SAAS_ENV": "test",
            "SAAS_VAR_DIR": str(tmp_path_factory.mktemp(service)),
            "DJANGO_SETTINGS_MODULE": f"saas.settings.{service}",
        }
        started[service] = subprocess.Popen(
            [sys.executable, "-c", BOOT],
            cwd=ROOT,
            env={**os.environ, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return started


@pytest.mark.xdist_group("boots")
@pytest.mark.parametrize("service", SERVICES)
def test_every_service_boots_alone_and_its_migrations_are_complete(service: str, boots) -> None:
    output, _ = boots[service].communicate(timeout=120)

    assert (boots[service].returncode, "No changes detected" in output) == (0, True), output


# ── Errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.guard
def test_every_error_code_is_written_down_and_nothing_else() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| .", (ROOT / "saas/docs/errors.md").read_text(), re.MULTILINE)
    written = {(code, int(status)) for code, status in rows}
    raised = _titles() | _refusals() | _codes_in_the_api()

    assert written == raised, "\n".join(
        [
            *(
                f"The error `{code}` ({status}) has no row in saas/docs/errors.md: add it."
                for code, status in raised - written
            ),
            *(
                f"saas/docs/errors.md has the error `{code}` ({status}), which nothing raises."
                for code, status in written - raised
            ),
        ]
    )
    assert len(rows) == len({code for code, _ in rows})


def _titles() -> set[tuple[str, int]]:
    return {(code, status) for status, (code, _) in CODES_AND_TITLES.items()}


def _refusals() -> set[tuple[str, int]]:
    for path in sources(*EVERYTHING):
        if "class " in path.read_text() and not {"settings", "testing"} & set(path.parts):
            importlib.import_module(module_name(path))
    return {(refusal.code, refusal.status) for refusal in _subclasses(DomainError)}


def _subclasses(base: type[DomainError]) -> Iterator[type[DomainError]]:
    yield base
    for subclass in base.__subclasses__():
        yield from _subclasses(subclass)


def _codes_in_the_api() -> set[tuple[str, int]]:
    """Codes that stand as words in a call: ``Problem(403, code="…")``, ``PermissionDenied("…", "…")``."""
    found = set()
    for call in (call for path in sources(*SERVICES, "saas/api") for call in calls(path)):
        name = getattr(call.func, "id", "")
        words = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if name == "Problem" and isinstance(code := keywords.get("code"), ast.Constant):
            found.add((code.value, words[0]))
        elif name in RAISED_BY_DRF and len(call.args) == 2:
            found.add((words[-1], RAISED_BY_DRF[name]))
    return found


def test_nothing_is_divided_by_a_hundred() -> None:
    """How many minor units a currency's unit has is known to ``saas.money`` alone; a percentage is a ``Fraction``."""
    found = [path for path in sources(*EVERYTHING) if re.search(r"(?<!/)/ ?100(\.0*)?(?![\d_])", path.read_text())]

    assert found == []
