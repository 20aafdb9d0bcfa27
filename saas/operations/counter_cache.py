"""A cache backend of counters in the database, exact across processes without Redis: for rate limits by default.

Implements only what a counter needs (``add``, ``incr``, ``get``, ``delete``, ``clear``).
"""

from datetime import timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import connection, transaction
from django.utils import timezone

from saas.operations.models import Counter


class DatabaseCounterCache(BaseCache):
    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        now, full_key = timezone.now(), self.make_and_validate_key(key, version)
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        as_stored = connection.ops.adapt_datetimefield_value
        # Without the ORM, which takes several times as long: every limited request comes here.
        with transaction.atomic(savepoint=False), connection.cursor() as cursor:
            cursor.execute("DELETE FROM operations_counter WHERE expires_at <= %s", [as_stored(now)])
            cursor.execute(
                "INSERT INTO operations_counter (key, value, expires_at) VALUES (%s, %s, %s) ON CONFLICT (key) DO NOTHING",
                [full_key, value, as_stored(now + timedelta(seconds=seconds or 0))],
            )
            return bool(cursor.rowcount)

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        full_key = self.make_and_validate_key(key, version)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE operations_counter SET value = value + %s WHERE key = %s RETURNING value", [delta, full_key]
            )
            if row := cursor.fetchone():
                return int(row[0])
        raise ValueError(f"Key {key!r} not found")

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        row = Counter.objects.filter(
            key=self.make_and_validate_key(key, version), expires_at__gt=timezone.now()
        ).first()
        return row.value if row else default

    def delete(self, key: str, version: int | None = None) -> bool:
        return Counter.objects.filter(key=self.make_and_validate_key(key, version)).delete()[0] > 0

    def clear(self) -> None:
        Counter.objects.all().delete()
