"""The session framework's store: what is written to a session that has ended meanwhile."""

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.utils import timezone

from saas.accounts.models import LoginSession
from saas.accounts.sessions.session_store import SessionStore


@pytest.fixture
def visitor(db: None) -> SessionStore:
    store = SessionStore()
    store.create()
    return store


@pytest.mark.parametrize("end", ["revoked", "deleted"])
def test_saving_a_session_that_has_ended_meanwhile_does_not_revive_it(visitor: SessionStore, end: str) -> None:
    visitor["cart"] = "a team"
    row = LoginSession.objects.get()
    if end == "revoked":
        LoginSession.objects.update(revoked_at=timezone.now())
    else:
        LoginSession.objects.all().delete()

    with pytest.raises(UpdateError):
        visitor.save()

    assert list(LoginSession.objects.values_list("session_data", flat=True)) == [row.session_data] * (end == "revoked")
    assert not LoginSession.objects.filter(revoked_at=None).exists()


def test_saving_a_session_that_lives_keeps_what_was_put_into_it(visitor: SessionStore) -> None:
    visitor["cart"] = "a team"

    visitor.save()

    assert SessionStore(visitor.session_key)["cart"] == "a team"
