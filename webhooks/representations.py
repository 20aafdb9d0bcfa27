"""Rows as the plain dictionaries that go out. ``serializers.py`` documents these."""

import base64
from dataclasses import asdict
from typing import Any

from saas.webhook_events.envelope import Unreadable, read_event
from saas.webhook_events.models import ReplayBatch, WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookPayload
from saas.webhook_events.monitoring.statistics import InboxStatistics
from saas.webhook_events.replays import ReplayPreview


def event(row: WebhookEvent) -> dict[str, Any]:
    return {
        "event_id": row.external_id,
        "event_type": row.type,
        "status": row.status,
        "received_at": row.received_at,
        "processed_at": row.processed_at,
        "replay_count": row.replay_count,
        "attempts": row.attempts,
        "last_error": row.last_error or None,
        "metadata": _metadata(row),
    }


def _metadata(row: WebhookEvent) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "source": row.source,
        "api_version": row.api_version,
        "livemode": row.livemode,
        "account": row.account,
        "object_type": row.object_type,
        "object_id": row.object_id,
        "customer_id": row.customer_id,
        "created": row.provider_created,
        "next_attempt_at": row.next_attempt_at if row.status in WebhookEvent.WAITING else None,
        "body_size": row.body_size,
        "body_sha256": row.body_sha256,
        "body_conflict": row.body_conflict,
    }


def event_detail(
    row: WebhookEvent,
    payload: WebhookPayload | None,
    attempts: list[WebhookAttempt],
    repeats: list[WebhookDelivery],
) -> dict[str, Any]:
    return {
        **event(row),
        "payload": _parsed(payload),
        "body_base64": base64.b64encode(payload.body).decode() if payload else None,
        "headers": payload.headers if payload else {},
        "attempt_log": [_attempt(attempt) for attempt in attempts],
        "repeats": [_repeat(repeat) for repeat in repeats],
    }


def _parsed(payload: WebhookPayload | None) -> dict[str, Any] | None:
    try:
        return read_event(bytes(payload.body)) if payload else None
    except Unreadable:
        return None


def _attempt(row: WebhookAttempt) -> dict[str, Any]:
    return {
        "number": row.number,
        "generation": row.generation,
        "trigger": row.trigger,
        "outcome": row.outcome,
        "error": row.error,
        "worker": row.worker,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "milliseconds": row.milliseconds,
    }


def _repeat(row: WebhookDelivery) -> dict[str, Any]:
    return {
        "at": row.at,
        "outcome": row.outcome,
        "address": row.address,
        "body_sha256": row.body_sha256,
        "body_size": row.body_size,
    }


def preview(found: ReplayPreview) -> dict[str, Any]:
    return {
        "dry_run": True,
        "matching": found.matching,
        "in_flight": found.in_flight,
        "samples": [event(row) for row in found.samples],
    }


def batch(row: ReplayBatch) -> dict[str, Any]:
    return {
        "id": row.pk,
        "state": row.state,
        "conditions": row.conditions,
        "matched": row.matched,
        "replayed": row.replayed,
        "skipped": row.skipped,
        "reason": row.reason,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def stats(figures: InboxStatistics) -> dict[str, Any]:
    return {**asdict(figures), "counts_are_exact": figures.counts_are_exact}
