"""ORM queries whose SQL is composed once and planned once, for the few that nearly every request or event makes.

Django composes a query's SQL each time and PostgreSQL plans it each time: together more than half of ``GET /auth/me``. What
each use gains is measured in saas/docs/performance.md; where it is under a tenth, use the plain ORM.
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
    """Return a cursor that sends parameters apart from the statement, bytes as bytes, and has the server keep the plan.

    Django's own cursor on SQLite, and where queries are logged: Django cannot log the text of this one.
    """
    return _cursor(connection, PreparedCursor)


def binary_cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """Return a cursor for rows with bytes and times; planned each time. Django's own cursor where ``prepared_cursor`` is."""
    return _cursor(connection, BinaryCursor)


def _cursor(connection: BaseDatabaseWrapper, kind: type[psycopg.Cursor[Any]]) -> CursorWrapper:
    if connection.vendor != "postgresql" or connection.queries_logged:
        return connection.cursor()
    connection.ensure_connection()
    cursor: Any = kind(connection.connection)
    return connection.make_cursor(cursor)


def postgres_array(numbers: Sequence[int]) -> str:
    """Return a PostgreSQL array literal: psycopg's adaptation of a list inspects each number three times."""
    return f"{{{','.join(map(str, numbers))}}}"


class QueryParameter(models.Expression):
    """A placeholder in a query for a value that is given at each execution. Text, unless ``field`` is given."""

    def __init__(self, name: str, field: "models.Field[Any, Any] | None" = None) -> None:
        super().__init__(field or models.CharField())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]

    def bind(self, values: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
        return self.output_field.get_db_prep_value(values[self.name], connection)


class PrimaryKeyIn(models.Func):
    """A filter: the primary key is one of those that are given at each execution, as one array parameter."""

    output_field = models.BooleanField()
    template, arg_joiner = "%(expressions)s", " IN "

    def __init__(self, name: str) -> None:
        super().__init__("pk", _KeysParameter(name))

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(
            compiler, connection, arg_joiner=" = ANY "
        )  # walks the key's index; a join may be planned otherwise


class _KeysParameter(QueryParameter):
    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "(SELECT value FROM json_each(%s))", [self]

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return "(%s::bigint[])", [self]

    def bind(self, values: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
        keys = values[self.name]
        return postgres_array(keys) if connection.vendor == "postgresql" else json.dumps(keys)


Cursor = Callable[[BaseDatabaseWrapper], CursorWrapper]


class PreparedQuery(Generic[M]):
    """A query that is composed at its first execution.

    ``make`` returns the queryset, with a :class:`QueryParameter` for each value that is given later. It must select whole
    models, with those of ``select_related``; annotations are lost. ``cursor`` makes the cursor that executes it.
    """

    def __init__(self, make: Callable[[], "models.QuerySet[M]"], cursor: Cursor = prepared_cursor) -> None:
        self._make, self._cursor = make, cursor
        self._statement: _Statement | None = None

    def fetch_all(self, **values: Any) -> list[M]:
        """Execute with ``values``, by parameter names, and return the rows. A missing value raises ``KeyError``."""
        if self._statement is None:
            self._statement = _Statement(self._make(), self._cursor)
        return self._statement.run(values)

    def fetch_first(self, **values: Any) -> M | None:
        """Return the first row, or None."""
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
