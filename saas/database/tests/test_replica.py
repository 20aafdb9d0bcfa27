"""Which reads go to the replica. ``faults/test_replica.py`` has a real one."""

from collections.abc import Iterator

import pytest

from saas import request_context
from saas.accounts.models import User
from saas.database.replica import ReplicaRouter
from saas.request_context import Context, allow_old_reads, keep_context, use_context

router = ReplicaRouter()


@pytest.fixture(autouse=True)
def request_() -> Iterator[None]:
    with use_context(Context("req_1")):
        yield


def test_a_request_reads_from_the_primary_unless_it_says_otherwise() -> None:
    assert router.db_for_read(User) == "default"
    allow_old_reads()
    assert router.db_for_read(User) == "replica"


def test_what_follows_a_write_is_read_from_the_primary() -> None:
    allow_old_reads()

    assert router.db_for_write(User) == "default"
    assert router.db_for_read(User) == "default"


def test_the_next_request_says_it_anew() -> None:
    with use_context(Context("req_2")):
        allow_old_reads()

    assert router.db_for_read(User) == "default"


def test_an_export_is_read_in_the_context_of_its_request_after_it_has_ended() -> None:
    with use_context(Context("req_2")):
        allow_old_reads()
        lines = keep_context(f"{request_context.current().request_id} {router.db_for_read(User)}" for _ in range(2))

    assert list(lines) == ["req_2 replica"] * 2


def test_only_the_primary_is_migrated() -> None:
    assert [router.allow_migrate(name, "accounts") for name in ("default", "replica")] == [True, False]
