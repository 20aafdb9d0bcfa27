"""Private engines for the suite, and a system on them for each test."""

import logging
import os
import subprocess
import sys

import psycopg
import pytest

from saas.testing.servers.engines import PrivatePostgres, PrivateRedis, missing_engines
from saas.tests.faults.harness import running_harness
from saas.tests.faults.webhook_system import ROOT, TEMPLATE, running_webhook_system

EFFECTS = """
CREATE TABLE fault_effect (
    id bigserial PRIMARY KEY, event text NOT NULL, lane text NOT NULL, began timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


@pytest.fixture(scope="session")
def engines(tmp_path_factory):
    if missing := missing_engines():
        pytest.skip(missing)
    with PrivatePostgres() as postgres, PrivateRedis() as redis:
        _make_template(postgres, tmp_path_factory.mktemp("var"))
        yield postgres, redis


def _make_template(postgres, var_dir):
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    environment = {
        **os.environ,
        "DATABASE_URL": postgres.url(TEMPLATE),
        "DJANGO_SETTINGS_MODULE": "saas.settings.webhooks",
        "SAAS_ENV": "test",
        "SAAS_VAR_DIR": str(var_dir),
    }
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    with psycopg.connect(postgres.url(TEMPLATE), autocommit=True) as connection:
        connection.execute(EFFECTS)


@pytest.fixture
def system(engines, tmp_path):
    logging.getLogger("httpx").setLevel(logging.WARNING)  # thousands of lines otherwise
    with running_webhook_system(*engines, tmp_path) as system:
        yield system


@pytest.fixture(scope="session")
def shared_harness(tmp_path_factory):
    with running_harness(tmp_path_factory.mktemp("harness")) as harness:
        yield harness


@pytest.fixture
def harness(shared_harness):
    """A production service with private engines; injected faults end after the test."""
    yield shared_harness
    shared_harness.restore()


@pytest.fixture(scope="session")
def customer(shared_harness):
    """A customer of that service, as returned by ``harness.register``."""
    shared_harness.restore()
    return shared_harness.register()
