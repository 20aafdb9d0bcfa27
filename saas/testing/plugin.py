"""The fixtures of every test: a client for each service, customers and staff.

Pytest loads this before Django is set up, so imports stand inside the fixtures.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from saas.testing.clients import ServiceClient
    from saas.testing.factories.user_factories import Person
    from saas.testing.servers.stack import Stack

GARBAGE_THRESHOLD = 50_000  # new objects between two collections; Python's 700 fit small scripts


@pytest.fixture
def service(db: None) -> Callable[[str], ServiceClient]:
    """Make a client by the service's name."""
    from saas.testing.clients import ServiceClient

    return ServiceClient


@pytest.fixture
def product(service: Callable[[str], ServiceClient]) -> ServiceClient:
    return service("product")


@pytest.fixture
def admin_ops(service: Callable[[str], ServiceClient]) -> ServiceClient:
    return service("admin_ops")


@pytest.fixture
def parity(service: Callable[[str], ServiceClient]) -> ServiceClient:
    return service("parity")


@pytest.fixture
def webhooks(service: Callable[[str], ServiceClient]) -> ServiceClient:
    return service("webhooks")


@pytest.fixture
def customer(db: None) -> Person:
    """A customer, logged in."""
    from saas.testing.factories import user_factories

    return user_factories.create_customer()


@pytest.fixture
def other(db: None) -> Person:
    """Another customer, logged in."""
    from saas.testing.factories import user_factories

    return user_factories.create_customer(full_name="Ola Other")


@pytest.fixture
def staff_member(db: None) -> Person:
    """A member of staff, logged in."""
    from saas.testing.factories import user_factories

    return user_factories.create_staff_member()


@pytest.fixture
def drain(db: None) -> Callable[[], None]:
    """Process every webhook event that is due or was never tried, in this process, until none is left."""
    from saas.testing.factories import event_factories

    return event_factories.drain


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole running system. Shared: use customers and events of your own, and leave it running."""
    from saas.testing.servers.stack import running_stack

    with running_stack(tmp_path_factory.mktemp("var")) as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from saas.testing import browser

    if missing := browser.missing_requirement():
        pytest.skip(missing)
    with browser.chromium() as started:
        yield started


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a browser context of its own, without cookies of other tests."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture(autouse=True)
def _fresh_rate_limits() -> None:
    """Keep the counts of one test from limiting the next."""
    from saas.testing import rate_limits

    rate_limits.reset_rate_limits()


@pytest.fixture(scope="session", autouse=True)
def _no_secret_in_logs() -> Iterator[None]:
    from saas.testing import secret_leak_detector

    with secret_leak_detector.detect_leaks(secret_leak_detector.process_secrets()) as detector:
        yield
    assert detector.leaks == []


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one worker of a run side by side, what shares an engine, a running system or a file's fixtures;
    mark what asks the database, for the rest need not run again on another engine."""
    on_engines = {item.path for item in items if _asks_the_database(item)}
    for item in items:
        if item.path in on_engines:
            item.add_marker(pytest.mark.database)
        if not item.get_closest_marker("xdist_group") and (group := _group(item)):
            item.add_marker(pytest.mark.xdist_group(group))
    # First what takes minutes: begun last, it would run on alone (with ``--no-loadscope-reorder``).
    items.sort(key=lambda item: not item.get_closest_marker("long"))


def _asks_the_database(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db"}.intersection(getattr(item, "fixturenames", ()))
    return bool(fixtures) or any(item.get_closest_marker(name) for name in ("django_db", "postgres"))


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker("faults"):
        return "engines"
    if "shared_stack" in getattr(item, "fixturenames", ()):
        return "stack"
    is_long = item.get_closest_marker("long") or item.get_closest_marker("browser")
    return str(item.path) if is_long else ""


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of garbage collection: walking it over and over is a tenth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def pytest_runtest_setup(item: pytest.Item) -> None:
    from django.db import connection

    if item.get_closest_marker("postgres") and connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: set DATABASE_URL")
