"""One effect at a time per customer, so that handlers which touch invoice, subscription and customer cannot deadlock."""

import json
from collections.abc import Collection

from django.db import connection


class LockUnavailable(Exception):
    """Somebody else acts for this customer right now."""


def acquire(lock_key: str) -> None:
    """Hold ``lane`` until the transaction ends, or raise ``LaneBusy``. On SQLite there is one writer anyway."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"webhook lane {lock_key}"])
        row = cursor.fetchone()
    if not row or not row[0]:
        raise LockUnavailable


def acquire_all(lock_keys: Collection[str]) -> set[str]:
    """Hold those that are free until the transaction ends; tells which."""
    if connection.vendor != "postgresql":
        return set(lock_keys)
    query = """
        SELECT lane FROM json_array_elements_text(%s::json) AS lane
        WHERE pg_try_advisory_xact_lock(hashtextextended('webhook lane ' || lane, 0))
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [json.dumps(list(lock_keys))])
        return {lane for (lane,) in cursor.fetchall()}
