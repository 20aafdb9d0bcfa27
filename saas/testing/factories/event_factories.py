"""The inbox without workers: act on what waits, in the test's own process."""

import json
import os
import time
from pathlib import Path
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.processing import event_worker
from saas.webhook_events.signatures import sign

SECRET = "whsec_test_local"
_ROOT = Path(__file__).resolve().parents[3]


def drain() -> None:
    """Process every waiting event that is due or was never tried, in the order of arrival, until none is left."""
    while ids := list(_ready().values_list("pk", flat=True)):
        for event_id in ids:
            event_worker.process_event(event_id)


def make_events_due() -> None:
    """Let every scheduled moment come."""
    WebhookEvent.objects.filter(status__in=WebhookEvent.WAITING).update(next_attempt_at=Now())


def _ready() -> Any:
    is_time = Q(next_attempt_at__lte=Now()) | Q(attempts=0)
    return WebhookEvent.objects.filter(is_time, status__in=WebhookEvent.WAITING).order_by("pk")


def event(event_id: str = "evt_1", type: str = "demo.created", **fields: Any) -> dict[str, Any]:
    """A Stripe-shaped event. ``object`` replaces its object; other ``fields`` stand beside it."""
    thing = fields.pop("object", {"id": "obj_1", "object": "demo", "customer": "cus_1"})
    return {
        "id": event_id,
        "object": "event",
        "type": type,
        "created": 1_700_000_000,
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": {"object": thing},
        **fields,
    }


def signature_headers(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers of a delivery of ``body``."""
    return {"Stripe-Signature": sign(body, secret=secret, at=int(time.time() if at is None else at))}


def json_bytes(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def stripe_samples() -> Path | None:
    """The folder with recorded Stripe events and signature vectors; None on a machine that has none."""
    configured = os.environ.get("SAAS_STRIPE_SAMPLES", "")
    folder = Path(configured) if configured else _ROOT.parent / "shared" / "stripe"
    return folder if (folder / "signature_vectors.json").exists() else None
