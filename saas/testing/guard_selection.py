"""Pytest plugin of ``manage.py guards``: run the guards of one module, and report what they found as sentences.

A guard is a test with the mark ``guard``, or any test of the module's own that pytest is given. Those that are parametrized by an
operation or a service run for the module's own operations only. A guard's sentence is its assertion's message.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_URLS = {"webhook_events": "webhooks"}  # the package of its views, where that has another name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--guards-of", default="", help="The module; empty for all.")
    parser.addoption("--guards-report", default="", help="Where to write the report, as JSON.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    module = config.getoption("--guards-of")
    chosen = [item for item in items if _is_guard(item, module) and (not module or _concerns(item, module))]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def _is_guard(item: pytest.Item, module: str) -> bool:
    own = module in item.path.parts or item.path.stem == f"test_{module}"
    return item.get_closest_marker("guard") is not None or own


def _concerns(item: pytest.Item, module: str) -> bool:
    """Whether an item is about the module, or about everything."""
    callspec = getattr(item, "callspec", None)
    params: dict[str, Any] = callspec.params if callspec else {}
    if "operation" in params:
        return (params["operation"].service, params["operation"].path) in _paths(module)
    if {"service", "path"} <= params.keys():
        return (params["service"], params["path"]) in _paths(module)
    return "service" not in params or params["service"] in {service for service, _ in _paths(module)}


@cache
def _paths(module: str) -> set[tuple[str, str]]:
    """The paths whose view is in a package of the module, each after its service."""
    from saas.testing.openapi import SERVICES, views_by_path

    return {
        (service, path)
        for service in SERVICES
        for path, view in views_by_path(service).items()
        if _URLS.get(module, module) in view.__module__.split(".")
    }


class _Report:
    def __init__(self) -> None:
        self.passed = 0
        self.failures: list[dict[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failures.append({"test": report.nodeid, "sentence": _sentence(report)})
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            last = str(report.longrepr).strip().splitlines()[-1].removeprefix("E ").strip()
            self.failures.append({"test": report.nodeid, "sentence": f"{report.nodeid} cannot be imported: {last}"})

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        found = {"passed": self.passed, "failures": self.failures}
        Path(session.config.getoption("--guards-report")).write_text(json.dumps(found), encoding="utf-8")


def _sentence(report: pytest.TestReport) -> str:
    """The assertion's message; of an assertion without one its first line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash else str(report.longrepr)
    return str(message.removeprefix("AssertionError: ").partition("\nassert ")[0].strip())


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--guards-report"):
        config.pluginmanager.register(_Report())
