"""Statements that are composed once and planned once: for the few that nearly every request makes.

Django composes a query's SQL anew each time, and PostgreSQL plans it anew: together more than half of ``GET /auth/me``.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.query import get_related_populators

from saas.database.postgres import BinaryCursor, PreparedCursor

M = TypeVar("M", bound=models.Model)


def prepared_cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """Sends parameters beside the statement, bytes as bytes (Django's own would write them into it, twice as long), and
    has the server keep its plan. Django's own on SQLite, and where queries are logged: of this one it cannot tell the text."""
    return _cursor(connection, PreparedCursor)


def binary_cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """For many rows with bytes and times in them, planned each time; Django's own where the other one is. A JSON column would
    come parsed, and Django's field would parse it again: it must not be asked for."""
    return _cursor(connection, BinaryCursor)


def _cursor(connection: BaseDatabaseWrapper, kind: type[psycopg.Cursor[Any]]) -> CursorWrapper:
    if connection.vendor != "postgresql" or connection.queries_logged:
        return connection.cursor()
    connection.ensure_connection()
    cursor: Any = kind(connection.connection)
    return connection.make_cursor(cursor)


def postgres_array(numbers: Sequence[int]) -> str:
    """As PostgreSQL writes it: psycopg would look at each number three times."""
    return f"{{{','.join(map(str, numbers))}}}"


class QueryParameter(models.Expression):
    """Stands in a query for a value that is told whenever it is asked. Text, if ``field`` does not say otherwise."""

    def __init__(self, name: str, field: "models.Field[Any, Any] | None" = None) -> None:
        super().__init__(field or models.CharField())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]

    def bind(self, values: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
        return self.output_field.get_db_prep_value(values[self.name], connection)


class PrimaryKeyIn(models.Func):
    """In a filter: the primary key is one of those that are told whenever it is asked, as one parameter."""

    output_field = models.BooleanField()
    template, arg_joiner = "%(expressions)s", " IN "

    def __init__(self, name: str) -> None:
        super().__init__("pk", _GivenKeys(name))

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(
            compiler, connection, arg_joiner=" = ANY "
        )  # walks the key's index; a join may be planned otherwise


class _GivenKeys(QueryParameter):
    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "(SELECT value FROM json_each(%s))", [self]

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return "(%s::bigint[])", [self]

    def bound(self, values: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
        keys = values[self.name]
        return postgres_array(keys) if connection.vendor == "postgresql" else json.dumps(keys)


Cursor = Callable[[BaseDatabaseWrapper], CursorWrapper]


class PreparedQuery(Generic[M]):
    """``make`` gives the queryset, with a :class:`Given` for each value that comes later. It must be of whole models,
    with whatever ``select_related`` brings along; annotations are left out. ``cursor`` makes what it is asked with."""

    def __init__(self, make: Callable[[], "models.QuerySet[M]"], cursor: Cursor = prepared_cursor) -> None:
        self._make, self._cursor = make, cursor
        self._statement: _Statement | None = None

    def fetch_all(self, **values: Any) -> list[M]:
        """What the database holds now. A value that is missing is a ``KeyError``."""
        if self._statement is None:
            self._statement = _Statement(self._make(), self._cursor)
        return self._statement.run(values)

    def fetch_first(self, **values: Any) -> M | None:
        """For a query that finds one row or none."""
        return next(iter(self.fetch_all(**values)), None)


class _Statement:
    def __init__(self, queryset: "models.QuerySet[Any]", cursor: Cursor) -> None:
        self._cursor = cursor
        compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        self._sql, self._parameters = compiler.as_sql()
        selected = compiler.select
        places = compiler.klass_info["select_fields"]
        self._model = queryset.model
        self._own = slice(places[0], places[-1] + 1)
        self._names = [column.target.attname for column, *_ in selected[self._own]]
        self._converters = compiler.get_converters([column for column, *_ in selected])
        self._related: list[Any] = get_related_populators(compiler.klass_info, selected, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]  # the stubs are of a later Django

    def run(self, values: dict[str, Any]) -> list[Any]:
        connection = connections[DEFAULT_DB_ALIAS]
        bound = [one.bind(values, connection) if isinstance(one, QueryParameter) else one for one in self._parameters]
        return [self._built(list(row), connection) for row in self._fetched(bound, connection)]

    def _fetched(self, parameters: Sequence[Any], connection: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
        try:
            return _fetched(self._cursor(connection), self._sql, parameters)
        except NotSupportedError:  # a migration has changed a column's type since the plan was made
            if connection.in_atomic_block:
                raise
            with connection.cursor() as cursor:
                cursor.execute("DEALLOCATE ALL")
            return _fetched(self._cursor(connection), self._sql, parameters)

    def _built(self, row: list[Any], connection: BaseDatabaseWrapper) -> Any:
        for place, (converters, column) in self._converters.items():
            for convert in converters:
                row[place] = convert(row[place], column, connection)
        built = self._model.from_db(DEFAULT_DB_ALIAS, self._names, row[self._own])
        for related in self._related:
            related.populate(row, built)
        return built


def _fetched(cursor: CursorWrapper, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
