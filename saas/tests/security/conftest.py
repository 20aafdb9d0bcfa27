"""One scenario for all tests of a file: each call is rolled back before the next."""

from collections.abc import Iterator

import pytest
from django.db import transaction

from saas.tests.security import tenant_scenario


@pytest.fixture(scope="module")
def scenario(django_db_setup: None, django_db_blocker) -> Iterator[tenant_scenario.Scenario]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield tenant_scenario.build_scenario()
        transaction.set_rollback(True)
