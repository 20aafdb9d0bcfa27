"""What the checks of dependencies refuse. (``test_doctor`` shows them to people.)"""

from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from saas.operations import checks
from saas.operations.readiness import DEPENDENCIES


def test_without_its_database_or_migrations_a_service_is_not_ready() -> None:
    needed = {dependency.name for dependency in DEPENDENCIES if dependency.is_needed}

    assert needed == {"database", "migrations"}


def test_a_migration_that_was_not_applied_is_counted(db) -> None:
    assert checks.migrations() == "none pending"
    MigrationRecorder.Migration.objects.get(app="mail", name="0004_request_id").delete()

    with pytest.raises(DatabaseError, match="1 pending"):
        checks.migrations()


@pytest.mark.postgres
def test_a_database_that_takes_no_writes_is_out_of_order(db) -> None:
    assert checks.database() == "postgresql"
    connection.cursor().execute("SET LOCAL transaction_read_only = on")

    with pytest.raises(DatabaseError, match="takes no writes"):
        checks.database()


@pytest.mark.postgres
@pytest.mark.parametrize(("seconds", "said"), [(3, "behind"), (-3, "ahead of")])
def test_a_clock_that_is_seconds_off_is_named(db, seconds: int, said: str) -> None:
    named = pytest.raises(RuntimeError, match=rf"clock is [23]\.\d s {said}")
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds)), named:
        checks.clock()
    with time_machine.travel(timezone.now() + timedelta(seconds=seconds / 3)):
        assert checks.clock().endswith("s apart")


def test_in_production_a_trusted_proxy_is_needed(settings) -> None:
    settings.TRUSTED_PROXY_COUNT, settings.TRUSTED_PROXY_CIDRS = 0, []
    assert checks.proxies() == "none"
    settings.PRODUCTION = True

    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXY_COUNT is 0"):
        checks.proxies()
    settings.TRUSTED_PROXY_COUNT, settings.TRUSTED_PROXY_CIDRS = 1, ["10.0.0.0/8"]
    assert checks.proxies() == "1 trusted, from 10.0.0.0/8"


@pytest.mark.parametrize("name", ["SECRET_KEY", "AUTH_PEPPER", "SESSION_SECRET"])
def test_a_secret_of_fewer_than_32_characters_is_refused(settings, name: str) -> None:
    checks.secrets_protection()
    setattr(settings, name, "x" * 32)
    checks.secrets_protection()
    setattr(settings, name, "x" * 31)

    with pytest.raises(ImproperlyConfigured, match="too short"):
        checks.secrets_protection()
