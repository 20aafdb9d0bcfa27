"""What happens at once: real threads against PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from saas.operations.models import Counter
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.webhook_events.actions import append_event, replay_event
from saas.webhook_events.models import WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookPayload
from saas.webhook_events.processing import claims, event_worker

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

SOURCE = WebhookEvent.Source.FETCH


def at_once(*functions):
    """Run the functions in threads that start together; their results in order."""
    barrier = Barrier(len(functions))

    def run(function):
        try:
            barrier.wait()
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result() for future in [pool.submit(run, function) for function in functions]]


def test_fifty_posts_of_one_event_store_it_once():
    body = json_bytes(event())
    headers = signature_headers(body)
    barrier = Barrier(50)

    def post(_):
        try:
            client = ServiceClient("webhooks")
            barrier.wait()
            return client.generic("POST", "/api/webhooks/stripe", body, headers=headers)
        finally:
            connection.close()

    from django.test import override_settings

    with override_settings(ROOT_URLCONF="webhooks.urls"), ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))

    statuses = [answer.json()["status"] for answer in answers]
    assert {answer.status_code for answer in answers} == {202}
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (1, 49)
    assert WebhookEvent.objects.count() == WebhookPayload.objects.count() == 1
    assert WebhookDelivery.objects.filter(outcome="duplicate").count() == 49


def test_two_workers_on_one_event_have_one_effect(seen):
    row = append_event(event(), source=SOURCE)

    at_once(*[lambda: event_worker.process_event(row.pk)] * 8)

    assert seen == ["evt_1"]
    assert row.attempt_log.count() == 1


def test_many_workers_draining_have_each_effect_once(handle):
    rows = [
        append_event(event(f"evt_{n}", object={"id": f"obj_{n}", "object": "demo"}), source=SOURCE) for n in range(300)
    ]
    WebhookEvent.objects.update(next_attempt_at=timezone.now())

    @handle("demo.*")
    def count(row, data):
        Counter.objects.create(key=f"{row.external_id}:{row.attempts}", value=1, expires_at=timezone.now())

    at_once(*[lambda: event_worker.drain(seconds=20)] * 4)

    assert Counter.objects.count() == len(rows)
    assert set(WebhookEvent.objects.values_list("status", flat=True)) == {"processed"}


GATE = "(SELECT pg_advisory_xact_lock_shared(1)) IS NOT NULL"  # passed after the statement's snapshot was taken


def claim_a_batch_behind_the_gate():
    gated = claims.CLAIM_SQL.replace("WHERE status IN", f"WHERE {GATE} AND status IN", 1)
    with connection.cursor() as cursor:
        cursor.execute(gated, {"limit": 10, "worker": "late"})
        return cursor.fetchall()


def claim_alone_behind_the_gate():
    return claims._claim(WebhookEvent.objects.due().extra(where=[GATE]), limit=1, solo=True)


@pytest.mark.parametrize("claim", [claim_a_batch_behind_the_gate, claim_alone_behind_the_gate])
@pytest.mark.parametrize("tries", [0, 1])
def test_a_claim_takes_no_event_that_a_concurrent_claim_has_committed(claim, tries):
    row = append_event(event(), source=SOURCE)
    for _ in range(tries):
        claims.release_claims([claims.claim_event(row.pk)])
    event_factories.make_events_due()
    closed, claimed = Event(), []

    def be_first():
        with transaction.atomic():
            execute("SELECT pg_advisory_xact_lock(1)")
            closed.set()
            while not execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                pass
            claimed.extend(claims.claim_batch())

    def be_late():
        closed.wait(10)
        return claim()

    _, late = at_once(be_first, be_late)

    assert (len(claimed), late) == (1, [])
    row.refresh_from_db()
    assert row.attempts == row.attempt_log.count() == tries + 1


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_events_of_one_customer_are_never_acted_on_side_by_side(handle):
    for n in range(40):
        append_event(event(f"evt_{n}"), source=SOURCE)
    WebhookEvent.objects.update(next_attempt_at=timezone.now())
    inside, most = [], []

    @handle("demo.*")
    def watch(row, data):
        inside.append(row.pk)
        most.append(len(inside))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.002)")
        inside.remove(row.pk)

    at_once(*[lambda: event_worker.drain(seconds=20)] * 4)

    assert max(most) == 1
    assert set(WebhookEvent.objects.values_list("status", "failures")) == {("processed", 0)}


def test_a_busy_lane_costs_an_event_nothing(seen):
    row = append_event(event(), source=SOURCE)
    entered, done = Event(), Event()

    def hold():
        with transaction.atomic():
            claims.acquire_customer_lock(row.lock_key)
            entered.set()
            done.wait(10)

    def try_it():
        entered.wait(10)
        event_worker.process_event(row.pk)
        done.set()

    at_once(hold, try_it)

    row.refresh_from_db()
    assert seen == []
    assert (row.status, row.failures, row.attempts) == ("queued", 0, 1)
    assert row.attempt_log.get().outcome == "postponed"


@pytest.mark.parametrize("count", [1, 2], ids=["alone", "in a batch"])
def test_a_slow_handler_is_not_taken_for_dead(handle, count):
    rows = [append_event(event(f"evt_{n}"), source=SOURCE) for n in range(count)]
    started, swept = Event(), Event()
    effects = []

    @handle("demo.*")
    def slow(row, data):
        effects.append(row.pk)
        started.set()
        swept.wait(10)

    def sweep():
        started.wait(10)
        WebhookAttempt.objects.update(started_at=timezone.now() - timedelta(minutes=5))
        try:
            return claims.mark_lost_attempts()
        finally:
            swept.set()

    _, lost = at_once(lambda: event_worker.process_events([row.pk for row in rows]), sweep)

    assert lost == 0
    assert effects == [row.pk for row in rows]
    assert [row.attempt_log.get().outcome for row in rows] == ["processed"] * count


def test_eight_replays_at_once_each_count(seen):
    row = append_event(event(), source=SOURCE)
    event_worker.process_event(row.pk)

    at_once(*[lambda: replay_event("evt_1", by="usr_sam")] * 8)
    event_worker.drain(seconds=5)

    row.refresh_from_db()
    assert (row.replay_count, row.status) == (8, "processed")
    assert seen == ["evt_1", "evt_1"]


def test_a_deadlock_in_a_handler_costs_no_failure(handle):
    rows = [append_event(event(f"evt_{n}", object={"id": f"obj_{n}", "object": "demo"}), source=SOURCE) for n in (1, 2)]
    for key in "ab":
        Counter.objects.create(key=key, value=0, expires_at=timezone.now())
    barrier = Barrier(2, timeout=5)

    @handle("demo.*")
    def cross(row, data):
        first, second = "ab" if row.external_id == "evt_1" else "ba"
        Counter.objects.filter(key=first).update(value=1)
        if row.attempts == 1:
            barrier.wait()
        Counter.objects.filter(key=second).update(value=1)

    at_once(*[lambda pk=row.pk: event_worker.process_event(pk) for row in rows])

    assert "postponed" in WebhookAttempt.objects.values_list("outcome", flat=True)
    event_factories.make_events_due()
    event_worker.drain(seconds=5)
    assert set(WebhookEvent.objects.values_list("status", "failures")) == {("processed", 0)}
