"""Send reads that may be seconds old to a replica (``DATABASE_REPLICA_URL``): lists, statistics and exports of staff.

A request says so by ``request_context.allow_old_reads``, after it was authenticated. What follows a write of the same request
is read from the primary again.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from saas import request_context

REPLICA = "replica"


class ReplicaRouter:
    """For ``DATABASE_ROUTERS``."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        return REPLICA if request_context.current().allows_old_reads else DEFAULT_DB_ALIAS

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        request_context.forbid_old_reads()
        return DEFAULT_DB_ALIAS

    def allow_relation(self, first: Model, second: Model, **hints: Any) -> bool:
        return True

    def allow_migrate(self, database: str, app_label: str, **hints: Any) -> bool:
        return database == DEFAULT_DB_ALIAS
