"""Stripe-shaped events and their signatures, and processing without workers in the test's own process."""

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
    is_due = Q(next_attempt_at__lte=Now()) | Q(attempts=0)
    due = WebhookEvent.objects.filter(is_due, status__in=WebhookEvent.WAITING).order_by("pk")
    while ids := list(due.values_list("pk", flat=True)):
        for event_id in ids:
            event_worker.process_event(event_id)


def make_events_due() -> None:
    """Make every waiting event due now."""
    WebhookEvent.objects.filter(status__in=WebhookEvent.WAITING).update(next_attempt_at=Now())


def event(event_id: str = "evt_1", type: str = "demo.created", **fields: Any) -> dict[str, Any]:
    """Return a Stripe-shaped event. ``object`` replaces its object; other ``fields`` are added at the top."""
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
    """Return the signature header of a delivery of ``body``. ``at``: seconds since 1970, else now."""
    return {"Stripe-Signature": sign(body, secret=secret, at=int(time.time() if at is None else at))}


def json_bytes(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def stripe_samples() -> Path | None:
    """Return the folder with recorded Stripe events and signature vectors; None where there is none."""
    configured = os.environ.get("SAAS_STRIPE_SAMPLES", "")
    folder = Path(configured) if configured else _ROOT.parent / "shared" / "stripe"
    return folder if (folder / "signature_vectors.json").exists() else None
