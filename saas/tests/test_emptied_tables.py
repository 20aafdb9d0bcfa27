"""After a test that commits, the database is what the migrations left, as with Django's own ``flush``."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import DatabaseError, connection

from saas.testing.factories import team_factories, user_factories

pytestmark = pytest.mark.django_db(transaction=True)
DEPLOYED = {ContentType, Permission}


def empty_the_tables() -> None:
    """As Django does it."""
    call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


def filled_tables() -> set[str]:
    stored = [model for model in apps.get_models() if model._meta.managed and model not in DEPLOYED]
    return {model._meta.label for model in stored if model._base_manager.exists()}


def deployed_names() -> list[tuple[Any, ...]]:
    permissions = Permission.objects.values_list("codename", "name", "content_type__app_label", "content_type__model")
    return [*sorted(permissions), *sorted(ContentType.objects.values_list("app_label", "model"))]


@pytest.fixture(autouse=True)
def _emptied_before() -> None:
    """The first time it is ``flush`` itself."""
    empty_the_tables()


def test_no_row_is_left() -> None:
    team_factories.create_team(team_factories.with_verified_email(user_factories.create_customer()))
    user_factories.create_staff_member()
    assert {"accounts.User", "audit.AuditEvent", "teams.Membership", "mail.Mail"} <= filled_tables()

    empty_the_tables()

    assert filled_tables() == set()


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ["DELETE FROM audit_auditevent", "TRUNCATE audit_auditevent CASCADE"])
def test_the_audit_trail_still_refuses_afterwards(statement: str) -> None:
    user_factories.create_customer()
    empty_the_tables()
    user_factories.create_customer()

    with pytest.raises(DatabaseError, match="only grows"), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("is_added", [True, False], ids=["added", "deleted"])
def test_changed_permissions_are_restored(is_added: bool) -> None:
    before = deployed_names()
    if is_added:
        Permission.objects.create(codename="fly", name="Can fly", content_type=ContentType.objects.all()[0])
        ContentType.objects.create(app_label="nowhere", model="nothing")
    else:
        Permission.objects.filter(codename__startswith="view").delete()
    assert deployed_names() != before

    empty_the_tables()

    assert deployed_names() == before
