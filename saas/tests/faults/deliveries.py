"""Events of the suite's own handler, and how long their deliveries take."""

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from saas.testing.factories.event_factories import event

if TYPE_CHECKING:
    from saas.tests.faults.webhook_system import WebhookSystem


def fault_event(id: str, **instructions: Any) -> dict[str, Any]:
    """Return an event of a customer of its own. ``instructions`` to the handler: see ``effects``."""
    return event(id, "fault.wanted", object={"id": f"obj_{id}", "object": "fault", **instructions})


def fault_events(count: int, prefix: str = "evt", **instructions: Any) -> list[dict[str, Any]]:
    return [fault_event(f"{prefix}_{number}", **instructions) for number in range(count)]


def post_timed(
    system: "WebhookSystem", payloads: Iterable[dict[str, Any]], pause_seconds: float = 0.0
) -> tuple[set[int], list[float]]:
    """Post one after the other; return the statuses that occurred, and the seconds that each took."""
    took, statuses = [], set[int]()
    for payload in payloads:
        started = time.monotonic()
        statuses.update(system.post([payload]))
        took.append(time.monotonic() - started)
        time.sleep(pause_seconds)
    return statuses, took


def percentile(took: Sequence[float], percent: int) -> float:
    """Return the value that ``percent`` % of the values stay below."""
    return statistics.quantiles(took, n=100)[percent - 1]
