"""One world for all tests of a file: every call is undone before the next."""

from collections.abc import Iterator

import pytest
from django.db import transaction

from saas.tests.security import tenant_scenario


@pytest.fixture(scope="module")
def here(django_db_setup: None, django_db_blocker) -> Iterator[tenant_scenario.World]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield tenant_scenario.build()
        transaction.set_rollback(True)
