"""What the forked processes of the fault suite run: each public function is a role, or is called by ``call_function``."""

import io
import json
import os
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command

from saas.billing.models import Subscription
from saas.server import serve
from saas.testing.factories.event_factories import json_bytes
from saas.tests.faults.deliveries import fault_event
from saas.webhook_events import actions
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import ReplayBatch, WebhookAlert

_BATCH_SIZE = 500


def import_everything() -> None:
    import_module(settings.ROOT_URLCONF)
    for name in ("saas.celery", "saas.management.commands.webhook_worker", "saas.billing.sync.rebuild"):
        import_module(name)


# ── Roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def worker() -> None:
    """Poll for due events; needs no broker."""
    call_command("webhook_worker", poll=True, every=0.02, stdout=io.StringIO(), stderr=io.StringIO())


def server(port: int) -> None:
    """Serve as production does, with one worker; with ``SAAS_FAULTS_INTAKE=view``, by the development server."""
    if os.environ.get("SAAS_FAULTS_INTAKE") != "view":
        os.environ |= {"BIND": f"127.0.0.1:{port}", "DRAIN_SECONDS": "0"}
        serve.main(["webhooks", "--workers", "1", "--settings", "saas.tests.faults.settings"])
        return
    call_command(
        "runserver", f"127.0.0.1:{port}", use_reloader=False, skip_checks=True, verbosity=0, stdout=io.StringIO()
    )


def celery(concurrency: int = 2) -> None:
    from saas.celery import app

    quiet = ["--without-gossip", "--without-mingle", "--loglevel=CRITICAL"]
    app.worker_main(
        ["worker", f"--concurrency={concurrency}", "--pool=prefork", f"--hostname=worker-{os.getpid()}", *quiet]
    )


def beat() -> None:
    from saas.celery import app

    app.start(["beat", "--loglevel=CRITICAL", "--pidfile="])


def call_function(function: str, arguments: dict[str, Any], path: str) -> None:
    """Call one of the functions below, and write its result, or its traceback, to ``path`` as JSON."""
    try:
        outcome = {"result": globals()[function](**arguments)}
    except Exception:
        outcome = {"error": traceback.format_exc()}
    draft = Path(path + ".draft")
    draft.write_text(json.dumps(outcome, default=str))
    draft.replace(path)


# ── Functions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def store(payloads: Sequence[dict[str, Any]]) -> int:
    """Store events by the domain's own action, in batches; return how many were new."""
    deliveries = [IncomingEvent.parse(json_bytes(payload), headers={}) for payload in payloads]
    new = 0
    for start in range(0, len(deliveries), _BATCH_SIZE):
        new += sum(receipt.is_new for receipt in actions.store_deliveries(deliveries[start : start + _BATCH_SIZE]))
    return new


def fault_events(count: int, prefix: str = "evt", repeats: int = 0, **instructions: Any) -> int:
    """Store events of the counted handler, each of its own customer, and the first ``repeats`` of them again."""
    numbers = [*range(count), *range(repeats)]
    return store([fault_event(f"{prefix}_{number}", **instructions) for number in numbers])


def notify(ids: Sequence[int]) -> int:
    """Notify the workers of these rows, whether they exist or not."""
    from saas.background_tasks import notify_workers
    from saas.webhook_events.tasks import process_due_events

    for id in ids:
        notify_workers(process_due_events, id)
    return len(ids)


def replay(event_id: str, reason: str = "") -> int:
    return actions.replay_event(event_id, by="fault-suite", reason=reason).replay_count


def replay_many(conditions: dict[str, Any]) -> str:
    """Start a bulk replay; return the batch's id, or the refusal's code."""
    from saas.errors import DomainError

    try:
        return actions.start_bulk_replay(conditions, by="fault-suite", reason="a test").pk
    except DomainError as error:
        return error.code


def cancel(batch_id: str) -> int:
    """Cancel a bulk replay; return how many were replayed, which is all if the batch had ended."""
    from saas.webhook_events.actions import ReplayEnded

    try:
        return actions.cancel_bulk_replay(batch_id, by="fault-suite").replayed
    except ReplayEnded:
        return ReplayBatch.objects.get(pk=batch_id).replayed


def differences() -> list[str]:
    """Return the differences that ``billing_rebuild --check`` finds."""
    from saas.billing.sync.rebuild import rebuild_rows

    return list(rebuild_rows(repair=False))


def subscriptions() -> dict[str, Any]:
    rows = Subscription.objects.values_list("external_id", "status", "quantity", "ambiguous")
    return {external_id: rest for external_id, *rest in rows}


def worker_health() -> str:
    """Return what ``/health/ready`` says of the workers."""
    from saas.operations import checks

    try:
        checks.worker()
    except RuntimeError as error:
        return str(error)
    return "ok"


def open_alerts() -> list[str]:
    return sorted(WebhookAlert.objects.values_list("kind", flat=True))
