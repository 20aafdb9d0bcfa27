"""Acting on events: once, together with the mark, again after a failure, never twice."""

from datetime import timedelta

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import OperationalError, connection
from django.utils import timezone

from saas.mail.models import Mail
from saas.operations.models import Counter
from saas.testing.factories.event_factories import event, json_bytes, make_events_due
from saas.webhook_events.actions import append_event, replay_event, store_deliveries
from saas.webhook_events.dispatch import Ignore, Permanent, Retry
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import WebhookAttempt, WebhookEvent, WebhookTally
from saas.webhook_events.processing import claims, event_worker, retry_policy

pytestmark = pytest.mark.django_db

FETCH = WebhookEvent.Source.FETCH


def outcomes(row):
    return list(row.attempt_log.order_by("number").values_list("trigger", "outcome"))


def refreshed(row):
    row.refresh_from_db()
    return row


def test_a_handlers_effect_and_the_mark_are_one_fact(seen):
    row = append_event(event(), source=FETCH)

    event_worker.process_event(row.pk)

    assert seen == ["evt_1"]
    assert refreshed(row).status == "processed"
    assert (row.attempts, row.failures, row.last_error) == (1, 0, "")
    assert row.processed_at is not None
    assert outcomes(row) == [("delivery", "processed")]


def test_processing_twice_acts_once(seen):
    row = append_event(event(), source=FETCH)

    event_worker.process_event(row.pk)
    event_worker.process_event(row.pk)
    event_worker.process_event(row.pk + 1000)

    assert seen == ["evt_1"]
    assert row.attempt_log.count() == 1


def test_a_handler_gets_the_object_and_what_it_was_before(handle):
    got = []
    handle("demo.updated")(lambda row, data: got.append((row.external_id, data.object, data.previous)))
    payload = event("evt_1", "demo.updated", object={"id": "obj_1", "size": 2})
    payload["data"]["previous_attributes"] = {"size": 1}

    event_worker.process_event(append_event(payload, source=FETCH).pk)

    assert got == [("evt_1", {"id": "obj_1", "size": 2}, {"size": 1})]


def test_a_failing_handler_leaves_no_effect_and_is_tried_again_later(handle, caplog):
    @handle("demo.created")
    def fail(row, data):
        Counter.objects.create(key="effect", value=1, expires_at=timezone.now())
        raise ValueError("the roof is on fire")

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert not Counter.objects.exists()
    assert refreshed(row).status == "retry_scheduled"
    assert (row.attempts, row.failures) == (1, 1)
    assert row.last_error == "ValueError: the roof is on fire"
    told = [(line.message, line.failures) for line in caplog.records if line.levelname == "WARNING"]
    assert told == [("webhook_attempt_failed", 1)]
    wait = row.next_attempt_at - timezone.now()
    assert timedelta(seconds=8) < wait <= timedelta(seconds=11)
    event_worker.process_event(row.pk)
    assert refreshed(row).attempts == 1


def test_an_errors_message_is_stored_without_unstorable_characters():
    error = ValueError("odd \x00\ud800" + "x" * 2000)

    kept = event_worker._describe(error)

    assert kept.startswith("ValueError: odd \ufffd?x")
    assert len(kept) == 1000


def test_after_the_last_retry_an_event_has_failed_and_one_alert_is_sent(handle, settings):
    settings.WEBHOOKS_MAX_RETRIES = 3
    settings.WEBHOOKS_NOTIFY_EMAIL = "ops@example.net"

    @handle("demo.created")
    def fail(row, data):
        raise ValueError("no")

    rows = [append_event(event(f"evt_{number}"), source=FETCH) for number in (1, 2)]
    for _ in range(6):
        make_events_due()
        for row in rows:
            event_worker.process_event(row.pk)

    assert [refreshed(row).status for row in rows] == ["failed", "failed"]
    assert [(row.attempts, row.failures) for row in rows] == [(4, 4), (4, 4)]
    kinds = sorted(mail.dedupe_key.split(":")[1] for mail in Mail.objects.filter(template="webhook_alert"))
    assert kinds == ["failed", "retrying"]
    assert Mail.objects.filter(recipient="ops@example.net").count() == 2


def test_a_second_failure_is_told_and_a_first_is_not(handle, settings):
    settings.WEBHOOKS_NOTIFY_EMAIL = "ops@example.net"

    @handle("demo.created")
    def fail(row, data):
        raise ValueError("no")

    row = append_event(event(), source=FETCH)
    told = []
    for _ in range(2):
        make_events_due()
        event_worker.process_event(row.pk)
        told.append([mail.context["what"] for mail in Mail.objects.all()])

    assert told == [[], ["an event keeps failing: demo.created"]]
    assert outcomes(row) == [("delivery", "failed"), ("sweep", "failed")]


def test_permanent_fails_at_once(handle):
    @handle("demo.created")
    def refuse(row, data):
        raise Permanent("never")

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.failures, row.last_error) == ("failed", 1, "Permanent: never")


def test_a_handler_may_ignore_an_event_and_its_writes_are_undone(handle):
    @handle("demo.created")
    def ignore(row, data):
        Counter.objects.create(key="effect", value=1, expires_at=timezone.now())
        raise Ignore("not ours")

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.last_error) == ("ignored", "Ignore: not ours")
    assert not Counter.objects.exists()
    assert outcomes(row) == [("delivery", "ignored")]


def test_a_handler_may_say_when_to_try_again(handle):
    @handle("demo.created")
    def later(row, data):
        raise Retry("the checkout is not there yet", after=timedelta(hours=1))

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.failures) == ("retry_scheduled", 1)
    assert timedelta(minutes=59) < row.next_attempt_at - timezone.now() < timedelta(minutes=61)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "unhandled.type"}, "no handler"),
        ({"livemode": True}, "livemode mismatch"),
        ({"account": "acct_other"}, "another account"),
        ({"type": "v1.demo.created", "object": None}, "no object"),
    ],
)
def test_what_concerns_nobody_here_is_kept_and_ignored(seen, fields, reason):
    row = append_event(event(**fields), source=FETCH)

    event_worker.process_event(row.pk)

    assert seen == []
    assert (refreshed(row).status, row.last_error, row.attempts) == ("ignored", reason, 1)
    assert row.processed_at is None


def test_an_event_that_shows_no_object_asks_for_nothing_and_is_done(seen):
    row = append_event(event(object=None), source=FETCH)

    event_worker.process_event(row.pk)

    assert seen == []
    assert (refreshed(row).status, row.last_error, row.attempts) == ("processed", "", 1)


def test_a_handler_of_two_patterns_that_both_fit_is_called_once(handle):
    effects = []
    handle("demo.*", "demo.created")(lambda row, data: effects.append(row.external_id))

    event_worker.process_event(append_event(event(), source=FETCH).pk)

    assert effects == ["evt_1"]


def test_a_replay_runs_once_more_in_a_new_generation(seen):
    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    replayed = replay_event("evt_1", by="usr_sam", reason="books")
    assert (replayed.status, replayed.replay_count, replayed.generation) == ("replay_queued", 1, 1)
    event_worker.process_event(row.pk)

    assert seen == ["evt_1", "evt_1"]
    assert outcomes(row) == [("delivery", "processed"), ("replay", "processed")]
    assert refreshed(row).attempts == 2


def test_a_failed_event_that_is_replayed_gets_a_fresh_retry_budget(handle, settings):
    settings.WEBHOOKS_MAX_RETRIES = 0

    @handle("demo.created")
    def fail(row, data):
        raise ValueError("no")

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)
    replay_event("evt_1", by="usr_sam")
    settings.WEBHOOKS_MAX_RETRIES = 1
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.failures, row.attempts) == ("retry_scheduled", 1, 2)


def test_quarantined_bytes_stay_so_when_replayed(drain):
    store_deliveries([IncomingEvent.parse(b"no event", headers={})])
    row = WebhookEvent.objects.get()

    replay_event(row.external_id, by="usr_sam")
    drain()

    assert (refreshed(row).status, row.replay_count) == ("quarantined", 1)


def test_a_claim_keeps_others_away(seen):
    row = append_event(event(), source=FETCH)

    assert claims.claim_event(row.pk) is not None
    event_worker.process_event(row.pk)
    make_events_due()
    event_worker.process_event(row.pk)
    event_worker.drain(seconds=1)

    assert seen == []


def presume_dead(attempt_number):
    WebhookAttempt.objects.filter(number=attempt_number).update(started_at=timezone.now() - timedelta(minutes=1))


def test_a_crashed_workers_attempt_is_lost_and_the_event_runs_elsewhere(seen):
    row = append_event(event(), source=FETCH)
    claims.claim_event(row.pk)
    presume_dead(1)

    event_worker.drain(seconds=1)

    assert seen == ["evt_1"]
    assert outcomes(row) == [("delivery", "lost"), ("delivery", "processed")]
    assert (refreshed(row).attempts, row.crash_count) == (2, 1)


def test_a_worker_that_was_presumed_dead_changes_nothing_when_it_wakes(seen):
    row = append_event(event(), source=FETCH)
    zombie = claims.claim_event(row.pk)
    presume_dead(1)
    claims.mark_lost_attempts()

    assert event_worker.run_attempt(zombie) is None
    other = claims.claim_event(row.pk)
    assert event_worker.run_attempt(zombie) is None
    assert seen == []
    event_worker.run_attempt(other)

    assert seen == ["evt_1"]
    assert outcomes(row) == [("delivery", "lost"), ("delivery", "processed")]
    assert claims.finish_attempt(zombie, "failed", status="failed") is False
    assert refreshed(row).status == "processed"


def test_three_lonely_deaths_make_an_event_poison(seen):
    row = append_event(event(), source=FETCH)
    for number in (1, 2, 3):
        assert claims.claim_event(row.pk) is not None
        presume_dead(number)
        claims.mark_lost_attempts()

    assert (refreshed(row).status, row.crash_count) == ("failed", 3)
    assert row.last_error.startswith("dead letter")
    event_worker.drain(seconds=1)
    assert seen == []

    replay_event("evt_1", by="usr_sam")
    claims.claim_event(row.pk)
    presume_dead(4)
    claims.mark_lost_attempts()
    assert (refreshed(row).status, row.crash_count) == ("replay_queued", 1)


def test_a_settled_event_is_not_made_due_by_an_attempt_that_was_left_open(seen):
    row = append_event(event(), source=FETCH)
    claims.claim_event(row.pk)
    WebhookEvent.objects.update(status="failed")
    presume_dead(1)

    assert claims.mark_lost_attempts() == 1

    assert (refreshed(row).status, row.crash_count) == ("failed", 0)
    assert outcomes(row) == [("delivery", "lost")]


def test_a_crash_in_company_does_not_count_among_the_three(seen):
    row, _ = (append_event(event(f"evt_{number}"), source=FETCH) for number in (1, 2))
    make_events_due()
    claims.claim_batch()
    presume_dead(1)
    claims.mark_lost_attempts()
    statuses = []
    for number in (2, 3, 4):
        claims.claim_event(row.pk)
        presume_dead(number)
        claims.mark_lost_attempts()
        statuses.append(refreshed(row).status)

    assert statuses == ["queued", "queued", "failed"]


@pytest.mark.parametrize(("seconds", "lost"), [(12, 0), (16, 1)])
def test_a_worker_is_presumed_dead_after_a_quarter_of_a_minute(seconds, lost):
    claims.claim_event(append_event(event(), source=FETCH).pk)
    WebhookAttempt.objects.update(started_at=timezone.now() - timedelta(seconds=seconds))

    assert claims.mark_lost_attempts() == lost


def test_an_event_whose_worker_crashed_is_left_to_the_sweep(seen):
    rows = [append_event(event(f"evt_{number}"), source=FETCH) for number in range(3)]
    WebhookEvent.objects.filter(pk=rows[1].pk).update(crash_count=1)

    event_worker.process_events([row.pk for row in rows])

    assert seen == ["evt_0", "evt_2"]
    assert refreshed(rows[1]).attempts == 0


def test_after_a_crash_in_a_batch_each_event_is_claimed_alone(seen):
    rows = [append_event(event(f"evt_{number}"), source=FETCH) for number in range(5)]
    make_events_due()
    assert len(claims.claim_batch()) == 5
    presume_dead(1)

    claims.mark_lost_attempts()

    assert claims.claim_batch() == []
    assert len(claims.claim_crashed()) == 1
    assert {refreshed(row).status for row in rows} == {"queued"}


def test_a_batch_that_takes_too_long_is_given_back_but_for_one_event(seen, monkeypatch):
    monkeypatch.setattr(event_worker, "BATCH_SECONDS", -1.0)
    rows = [append_event(event(f"evt_{number}"), source=FETCH) for number in range(3)]
    make_events_due()

    event_worker._process_claims(claims.claim_batch())

    assert seen == ["evt_0"]
    assert [outcome for row in rows for _, outcome in outcomes(row)] == ["processed", "postponed", "postponed"]
    assert {refreshed(row).failures for row in rows} == {0}


def test_a_broken_payload_row_fails_that_event_and_no_other(seen):
    bad, good = append_event(event("evt_1"), source=FETCH), append_event(event("evt_2"), source=FETCH)
    bad.payload.delete()
    make_events_due()

    event_worker.drain(seconds=1)

    assert seen == ["evt_2"]
    assert refreshed(bad).status == "retry_scheduled"
    assert refreshed(good).status == "processed"
    with pytest.raises(ObjectDoesNotExist):
        refreshed(bad).payload  # noqa: B018


def test_a_handlers_broken_query_costs_a_failure(handle):
    @handle("demo.created")
    def fail(row, data):
        with connection.cursor() as cursor:
            cursor.execute("SELECT nonsense FROM nowhere")

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.failures) == ("retry_scheduled", 1)


def test_a_lost_connection_or_a_deadlock_costs_no_attempt(handle):
    class Gone(Exception):
        sqlstate = "40P01"

    @handle("demo.created")
    def fail(row, data):
        raise OperationalError("database is locked") from Gone()

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.failures) == ("queued", 0)
    assert outcomes(row) == [("delivery", "postponed")]


@pytest.mark.postgres  # SQLite's errors have no codes
@pytest.mark.parametrize(
    ("state", "message", "expected"),
    [
        ("40001", "could not serialize access", ("queued", 0)),
        ("55P03", "lock timeout", ("queued", 0)),
        ("25006", "read-only transaction", ("queued", 0)),
        ("08006", "connection failure", ("queued", 0)),
        ("57P01", "terminating connection", ("queued", 0)),
        ("57014", "canceling statement due to statement timeout", ("retry_scheduled", 1)),
    ],
)
def test_an_error_of_the_database_is_no_failure_and_a_time_limit_is_one(handle, state, message, expected):
    class Cause(Exception):
        sqlstate = state

    @handle("demo.created")
    def fail(row, data):
        raise OperationalError(message) from Cause()

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.failures) == expected


def test_an_error_after_a_long_time_counts_whatever_its_kind(handle, monkeypatch):
    monkeypatch.setattr(event_worker, "SLOW_EFFECT_SECONDS", -1.0)

    @handle("demo.created")
    def fail(row, data):
        raise OperationalError("database is locked")

    row = append_event(event(), source=FETCH)
    event_worker.process_event(row.pk)

    assert (refreshed(row).status, row.failures) == ("retry_scheduled", 1)
    assert row.last_error == "TimedOut: OperationalError: database is locked"


@pytest.mark.usefixtures("_customers_are_locked")
def test_an_attempt_that_was_postponed_is_not_among_the_durations(seen):
    event_worker.process_event(append_event(event(), source=FETCH).pk)

    assert dict(WebhookTally.objects.values_list("name", "value")) == {"postponed": 1}


def test_a_database_that_comes_back_soon_learns_of_a_failure(handle, monkeypatch):
    monkeypatch.setattr(event_worker, "_RECORD_PAUSE_SECONDS", 0.0)
    refused = []

    @handle("demo.created")
    def fail(row, data):
        raise ValueError("no")

    def away_at_first(execute, sql, params, many, context):
        if sql.startswith('UPDATE "webhook_events_webhookevent"') and len(refused) < 4:
            refused.append(sql)
            raise OperationalError("the database is away")
        return execute(sql, params, many, context)

    row = append_event(event(), source=FETCH)
    claim = claims.claim_event(row.pk)
    with connection.execute_wrapper(away_at_first):
        event_worker.run_attempt(claim)

    assert (len(refused), refreshed(row).status, row.failures) == (4, "retry_scheduled", 1)


def test_after_one_of_a_customer_was_postponed_the_next_is_not_reached(seen, monkeypatch):
    rows = [append_event(event(f"evt_{number}"), source=FETCH) for number in (1, 2)]
    asked = []

    def busy_once(lock_key):
        asked.append(lock_key)
        if len(asked) == 1:
            raise claims.LockUnavailable

    monkeypatch.setattr(claims, "acquire_customer_lock", busy_once)
    make_events_due()

    event_worker._process_one_by_one(claims.claim_batch(), float("inf"))

    assert seen == []
    assert [outcomes(row) for row in rows] == [[("delivery", "postponed")]] * 2


@pytest.mark.parametrize(("failures", "seconds"), [(1, 10), (2, 30), (3, 120), (10, 86_400), (40, 86_400)])
def test_the_wait_grows_with_the_failures_and_has_a_tenth_of_jitter(failures, seconds):
    waits = [retry_policy.retry_delay(failures).total_seconds() for _ in range(50)]

    assert all(seconds <= wait <= seconds * 1.1 for wait in waits)
    assert len(set(waits)) > 1


def test_the_drain_takes_whatever_is_due(seen):
    store_deliveries([IncomingEvent.parse(json_bytes(event(f"evt_{number}")), headers={}) for number in range(120)])

    assert event_worker.drain(seconds=20) == 120

    assert len(seen) == len(set(seen)) == 120
    assert set(WebhookEvent.objects.values_list("status", flat=True)) == {"processed"}


def test_a_worker_claims_twice_as_many_after_each_batch_up_to_a_limit(seen, monkeypatch):
    monkeypatch.setattr(event_worker, "_slow_start", event_worker.SlowStart())
    monkeypatch.setattr(claims, "BATCH_SIZE", 10)
    store_deliveries([IncomingEvent.parse(json_bytes(event(f"evt_{number}")), headers={}) for number in range(13)])
    sizes, claim_batch = [], claims.claim_batch
    monkeypatch.setattr(claims, "claim_batch", lambda limit: sizes.append(limit) or claim_batch(limit))

    event_worker.drain()

    assert (sizes[:3], set(sizes[3:])) == ([4, 8, 10], {10})


@pytest.mark.parametrize(("count", "pauses"), [(1, []), (4, []), (9, [event_worker.GATHER_SECONDS])])
def test_only_in_a_stream_does_a_worker_wait_for_company(seen, monkeypatch, count, pauses):
    slept = []
    monkeypatch.setattr(event_worker.time, "sleep", slept.append)
    monkeypatch.setattr(claims, "BATCH_SIZE", 4)
    monkeypatch.setattr(event_worker, "_slow_start", event_worker.SlowStart())
    for number in range(count):
        store_deliveries([IncomingEvent.parse(json_bytes(event(f"evt_{number}")), headers={})])

    event_worker.drain()

    assert len(seen) == count
    assert slept == pauses
