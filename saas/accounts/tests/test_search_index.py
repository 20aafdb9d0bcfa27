"""The index behind the search for people: it changes how fast the answer comes, never the answer."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import DatabaseError, connection

from saas.accounts.models import User

migration = import_module("saas.accounts.migrations.0011_search_by_parts")

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


def indexes():
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'people_by_part%%' ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def plan_of_a_search():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    return User.objects.matching("lovelace").explain()


def found(search):
    return sorted(User.objects.matching(search).values_list("full_name", flat=True))


def test_the_search_walks_the_index():
    assert "people_by_part_of_email" in plan_of_a_search()
    assert "people_by_part_of_name" in plan_of_a_search()


def test_it_can_be_taken_away_and_the_answers_are_the_same():
    User.objects.create(email="ada@example.org", full_name="Ada Lovelace")
    User.objects.create(email="grace@example.org", full_name="Grace Hopper")
    searches = ["LOVE", "ada@", "example", "%", "o'"]
    before = [found(search) for search in searches]

    with connection.schema_editor(atomic=False) as editor:
        migration.remove(apps, editor)

    assert indexes() == []
    assert [found(search) for search in searches] == before
    assert before[:3] == [["Ada Lovelace"], ["Ada Lovelace"], ["Ada Lovelace", "Grace Hopper"]]


def test_where_the_extension_cannot_be_had_the_migration_passes():
    with connection.schema_editor(atomic=False) as editor:
        migration.remove(apps, editor)
        execute = editor.execute

        def refuse(statement, *args, **options):
            if "EXTENSION" in statement:
                raise DatabaseError("permission denied to create extension")
            return execute(statement, *args, **options)

        editor.execute = refuse
        migration.add(apps, editor)

    assert indexes() == []
