"""The fixtures of every test: a client per service, and people.

Loaded by pytest before Django is set up, so the imports stand inside the fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from saas.testing.clients import ServiceClient
    from saas.testing.factories.user_factories import Person
    from saas.testing.servers.stack import Stack


@pytest.fixture
def service(db: None) -> Callable[[str], ServiceClient]:
    """A client by the service's name, for tests that walk all four."""
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
    """Acts on every webhook event that is due or was never tried, here and now, until none is left."""
    from saas.testing.factories import event_factories

    return event_factories.drain


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole system, running. Shared: bring people and events of your own, and leave it running."""
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
    """A window of its own: no cookie of another test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture(autouse=True)
def _fresh_limits() -> None:
    """What one test counted must not limit the next."""
    from saas.testing import rate_limits

    rate_limits.reset_rate_limits()


@pytest.fixture(scope="session", autouse=True)
def _no_line_tells_a_secret() -> Iterator[None]:
    from saas.testing import secret_leak_detector

    with secret_leak_detector.detect_leaks(secret_leak_detector.process_secrets()) as watch:
        yield
    assert watch.leaks == []


def pytest_runtest_setup(item: pytest.Item) -> None:
    from django.db import connection

    if item.get_closest_marker("postgres") and connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL: set DATABASE_URL")


@pytest.fixture(scope="session", autouse=True)
def _emptied_between_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """The audit trail refuses TRUNCATE, also that of Django's ``flush`` after a test that commits: lift it there only."""
    from django.core.management.commands import flush

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", _lifting(flush.Command.handle))
        yield


def _lifting(flush: Callable[..., None]) -> Callable[..., None]:
    def flushed(*args: object, **options: object) -> None:
        _switch_truncation("DISABLE")
        try:
            flush(*args, **options)
        finally:
            _switch_truncation("ENABLE")

    return flushed


def _switch_truncation(state: str) -> None:
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in ("audit_auditevent", "audit_auditseal"):
                cursor.execute(f"ALTER TABLE {table} {state} TRIGGER table_only_grows")
