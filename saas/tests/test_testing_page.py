"""The page about testing names fixtures and factories that exist, and its example is a test that passes."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from saas.testing import plugin

TEXT = (Path(__file__).parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")


def example() -> Callable[..., None]:
    """The test of the page's only Python block."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(code, "testing.md", "exec"), namespace)
    (test,) = [value for name, value in namespace.items() if name.startswith("test_")]
    return test  # type: ignore[no-any-return]


@pytest.mark.django_db
def test_the_pages_example_passes(request: pytest.FixtureRequest) -> None:
    test = example()

    test(**{name: request.getfixturevalue(name) for name in inspect.signature(test).parameters})


def test_the_fixtures_that_the_page_names_exist() -> None:
    rows = TEXT.partition("| fixture |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]

    assert len(named) == 11
    assert [name for name in named if not hasattr(plugin, name)] == []


def test_the_factories_that_the_page_names_exist() -> None:
    rows = TEXT.partition("| factory |")[2].partition("\n\n")[0].splitlines()[2:]
    module, missing = "", []
    for owner, name in re.findall(r"`(?:(\w+)\.)?(\w+)\(", "\n".join(row.split("|")[1] for row in rows)):
        module = owner or module
        if not hasattr(import_module(f"saas.testing.factories.{module}"), name):
            missing.append(f"{module}.{name}")

    assert missing == []
