"""A handler whose effect is a row in a table without constraints, so that a repeated effect shows.

The event's object says what shall go wrong.
"""

import os
import signal
import time
from typing import Any

from django.db import connection

from saas.webhook_events.dispatch import Ignore, Permanent, handles
from saas.webhook_events.envelope import EventData
from saas.webhook_events.models import WebhookEvent

_REFUSALS = {"error": ValueError, "permanent": Permanent, "ignore": Ignore}


@handles("fault.*")
def insert_effect(event: WebhookEvent, data: EventData) -> None:
    instructions: dict[str, Any] = data.object
    if instructions.get("poison"):
        _die()
    if refusal := instructions.get("raises"):
        raise _REFUSALS[refusal]("as it was told to")
    while instructions.get("endless"):
        time.sleep(0.05)
    time.sleep(instructions.get("before", 0))
    note_effect(event)
    if event.attempts in instructions.get("dies_in_attempts", []):
        _die()  # the effect is written, and not committed
    time.sleep(instructions.get("after", 0))


def note_effect(event: WebhookEvent) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO fault_effect (event, lane) VALUES (%s, %s)", [event.external_id, event.lock_key])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
