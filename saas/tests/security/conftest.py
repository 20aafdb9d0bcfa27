"""One world for all tests of a file: every call is undone before the next."""

from collections.abc import Iterator

import pytest
from django.db import transaction

from saas.tests.security import world


@pytest.fixture(scope="module")
def here(django_db_setup: None, django_db_blocker) -> Iterator[world.World]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield world.build()
        transaction.set_rollback(True)
