"""The database's clock, by which everything is scheduled."""

from datetime import UTC, datetime
from typing import cast

from django.db import connection


def database_now() -> datetime:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT statement_timestamp()")
            return cast(datetime, cursor.fetchone()[0])
        cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
