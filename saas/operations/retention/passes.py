"""Deleting what is past its time, in passes along each table's primary key.

A pass reads the table from its first row to its last, a page at a time, and deletes of each page what its rule says: short
statements, whose locks and whose cost do not grow with the table. Rules take turns, so that a backlog in one table delays no
other, and a run ends after some seconds; the next one goes on where it ended. When a pass is over, everything that was past
its time when it began is gone: that is how far behind retention is.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from saas.operations.models import RetentionProgress
from saas.operations.retention.rules import DeletionRule, deletion_rules

logger = logging.getLogger(__name__)

RUN_SECONDS = 20.0
PAGE = 2000


@dataclass
class _Pass:
    rule: DeletionRule
    progress: RetentionProgress

    def delete_page(self, now: datetime) -> int:
        """Delete of the next page what is past its time; return how many rows went."""
        page = self._next_page()
        deleted = self.rule.delete([key for key, _ in page], now) if page else 0
        self.progress.deleted += deleted
        if len(page) < PAGE or self._is_young(page[-1][1], now):
            self.progress.end_pass()
        else:
            self.progress.position = page[-1][0]
        return deleted

    def _next_page(self) -> list[tuple[Any, Any]]:
        """The primary keys that follow, each with the moment that orders them, if there is one."""
        rows = self.rule.model._base_manager.order_by("pk")
        if self.progress.position is not None:
            rows = rows.filter(pk__gt=self.progress.position)
        return list(rows.values_list("pk", self.rule.ordered_by or "pk")[:PAGE])

    def _is_young(self, moment: Any, now: datetime) -> bool:
        return bool(self.rule.ordered_by) and moment >= now - self.rule.ordered_age


def delete_expired(
    rules: Iterable[DeletionRule] | None = None, *, seconds: float = RUN_SECONDS, only_due: bool = True
) -> int:
    """Delete rows past their time, for about ``seconds`` at most. Return how many went.

    Without ``only_due`` a pass along every table begins, whenever the last one was.
    """
    now, deadline, deleted = timezone.now(), time.monotonic() + seconds, 0
    passes = deque(_begin_passes(deletion_rules() if rules is None else rules, now, only_due))
    under_way = [current.progress for current in passes]
    while passes and time.monotonic() < deadline:
        current = passes.popleft()
        try:
            deleted += current.delete_page(now)
        except DatabaseError:  # a lock, say: the other tables do not wait for it
            logger.exception("retention_failed", extra={"table": current.rule.table})
            continue
        if current.progress.started_at is not None:
            passes.append(current)
    RetentionProgress.objects.note(under_way)
    return deleted


def _begin_passes(rules: Iterable[DeletionRule], now: datetime, only_due: bool) -> list[_Pass]:
    """Passes that are under way, and those whose time it is."""
    known = {row.table: row for row in RetentionProgress.objects.all()}
    passes = []
    for rule in rules:
        progress = known.get(rule.table)
        if progress is None:
            progress = RetentionProgress(table=rule.table, complete_until=now, started_at=now)
        elif progress.started_at is None and not (only_due and now - rule.every < progress.complete_until <= now):
            progress.started_at = now
        if progress.started_at is not None:
            passes.append(_Pass(rule, progress))
    return passes
