"""Events of the handler that the suite counts, how they are posted, and how long that took."""

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from saas.testing.factories.event_factories import event

if TYPE_CHECKING:
    from saas.tests.faults.webhook_system import WebhookSystem


def fault_event(id: str, **wishes: Any) -> dict[str, Any]:
    """Of a customer of its own. ``wishes``: what the handler is to do, see ``effects``."""
    return event(id, "fault.wanted", object={"id": f"obj_{id}", "object": "fault", **wishes})


def fault_events(count: int, prefix: str = "evt", **wishes: Any) -> list[dict[str, Any]]:
    return [fault_event(f"{prefix}_{number}", **wishes) for number in range(count)]


def post_timed(
    system: "WebhookSystem", payloads: Iterable[dict[str, Any]], pause_seconds: float = 0.0
) -> tuple[set[int], list[float]]:
    """The statuses that occurred, and the seconds that each took; one after the other."""
    took, statuses = [], set[int]()
    for payload in payloads:
        started = time.monotonic()
        statuses.update(system.post([payload]))
        took.append(time.monotonic() - started)
        time.sleep(pause_seconds)
    return statuses, took


def percentile(took: Sequence[float], percent: int) -> float:
    """What ``percent`` of a hundred stay below."""
    return statistics.quantiles(took, n=100)[percent - 1]
