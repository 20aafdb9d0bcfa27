"""``manage.py migrate`` and ``check --database default`` refuse a database that cannot hold every character.

A server that was set up without a locale creates such databases.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

_HINT = (
    "Create a new one with ENCODING 'UTF8' TEMPLATE template0 (saas/docs/operations.md), and restore a backup into it."
)


@register(Tags.database)
def check_encoding(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Require UTF-8. SQLite knows nothing else."""
    encodings = [_encoding(alias) for alias in databases or [] if connections[alias].vendor == "postgresql"]
    return [
        Error(f"The database is encoded in {encoding}, which lacks most characters.", hint=_HINT, id="saas.E002")
        for encoding in encodings
        if encoding != "UTF8"
    ]


def _encoding(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        return str(cursor.fetchone()[0])
