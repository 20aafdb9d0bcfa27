"""Celery's scheduler, with a sign of life: a beat that hangs or is gone is seen within half a minute."""

import logging
import time
from typing import Any

from celery.beat import PersistentScheduler
from django.db import DatabaseError

from saas.operations.actions import beat

logger = logging.getLogger(__name__)

BEAT_EVERY_SECONDS = 5.0


class HeartbeatScheduler(PersistentScheduler):
    _beaten_at = float("-inf")

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if time.monotonic() - self._beaten_at >= BEAT_EVERY_SECONDS:
            self._beat()
        return min(super().tick(*args, **kwargs), BEAT_EVERY_SECONDS)

    def _beat(self) -> None:
        self._beaten_at = time.monotonic()
        try:
            beat("beat")
        except DatabaseError:
            logger.warning("heartbeat_not_written", exc_info=True)
