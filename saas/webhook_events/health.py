"""The webhook modules' own health checks."""

from saas.operations.health import Module
from saas.webhook_events.models import WebhookEvent, WebhookPayload
from saas.webhook_events.processing import retry_policy
from saas.webhook_events.signatures import BadSignature, sign, verify

_PROBE, _SECRET, _AT = b"{}", "whsec_probe", 1_700_000_000


def _signatures() -> None:
    """Verify a signature of our own, and refuse it for a changed body."""
    header = sign(_PROBE, secret=_SECRET, at=_AT)
    verify(header, _PROBE, secrets=[_SECRET], tolerance_seconds=0, now=_AT)
    try:
        verify(header, _PROBE + b" ", secrets=[_SECRET], tolerance_seconds=0, now=_AT)
    except BadSignature:
        return
    raise RuntimeError("a forged body was accepted")


def _event_log() -> None:
    """Read the event log."""
    WebhookPayload.objects.order_by().values("event_id")[:1].exists()


def _processing() -> None:
    """Read the queue, and require growing retry delays."""
    WebhookEvent.objects.due().order_by().values("id")[:1].exists()
    if sorted(retry_policy.RETRY_DELAYS) != retry_policy.RETRY_DELAYS:
        raise RuntimeError("the retry schedule does not grow")


SIGNATURES = Module("signatures", ("hmac-sha256", "secret-rotation", "timestamp-tolerance"), _signatures)
EVENT_LOG = Module("event-log", ("exact-bytes", "idempotency", "quarantine", "search"), _event_log)
PROCESSING = Module("processing", ("retries", "lanes", "fencing", "replay"), _processing)
