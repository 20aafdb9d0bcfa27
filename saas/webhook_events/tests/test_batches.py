"""Many events in one transaction: the same guards as alone, and one that fails costs the others nothing."""

import time
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import Q
from django.utils import timezone

from saas.testing.factories.event_factories import event, make_events_due
from saas.webhook_events import dispatch
from saas.webhook_events.actions import append_event
from saas.webhook_events.dispatch import Permanent, before_transaction
from saas.webhook_events.models import WebhookAttempt, WebhookEvent
from saas.webhook_events.processing import batches, claims, event_worker

pytestmark = pytest.mark.django_db
FETCH = WebhookEvent.Source.FETCH


def stored(count, **fields):
    rows = [
        append_event(
            event(f"evt_{number}", object={"id": f"obj_{number}", "customer": f"cus_{number}"}, **fields), source=FETCH
        )
        for number in range(count)
    ]
    make_events_due()
    return rows


def work_off():
    return event_worker._process_claims(claims.claim_batch())


def statuses():
    return list(WebhookEvent.objects.order_by("id").values_list("status", flat=True))


def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(seen, django_assert_max_num_queries):
    stored(30)
    batch = claims.claim_batch()

    with django_assert_max_num_queries(8):
        done = batches.process_batch(batch, until=float("inf"))

    assert len(done) == len(seen) == 30
    assert statuses() == ["processed"] * 30
    assert set(WebhookAttempt.objects.values_list("outcome", "number")) == {("processed", 1)}


def test_what_has_been_due_longest_is_claimed_first(seen):
    rows = stored(3)
    for row, minutes in zip(rows, (2, 3, 1), strict=True):
        WebhookEvent.objects.filter(pk=row.pk).update(next_attempt_at=timezone.now() - timedelta(minutes=minutes))

    claimed = [*claims.claim_batch(1), *claims.claim_batch()]

    assert [claim.event_id for claim in claimed] == [rows[1].pk, rows[0].pk, rows[2].pk]


def test_one_that_fails_leaves_its_company_processed_once(handle):
    effects = []

    @handle("demo.*")
    def act(event, data):
        effects.append(event.external_id)
        WebhookEvent.objects.filter(pk=event.pk).update(account="acted on")  # an effect that a rollback takes back
        if event.external_id == "evt_2":
            raise Permanent("no")

    stored(5)

    work_off()

    assert statuses() == ["processed", "processed", "failed", "processed", "processed"]
    acted_on = WebhookEvent.objects.filter(account="acted on").order_by("id").values_list("external_id", flat=True)
    assert list(acted_on) == ["evt_0", "evt_1", "evt_3", "evt_4"]
    assert WebhookAttempt.objects.count() == 5
    assert WebhookEvent.objects.get(external_id="evt_2").failures == 1


@pytest.fixture
def handed(handle):
    """What a function that acts on many was handed each time. It fails for an event of the type ``demo.bad``."""
    calls = []

    @dispatch.handles_batch("demo.*")
    def act(events):
        calls.append([row.external_id for row, _ in events])
        WebhookEvent.objects.filter(pk__in=[row.pk for row, _ in events]).update(account="acted on")
        if any(row.type == "demo.bad" for row, _ in events):
            raise Permanent("no")

    return calls


def test_a_batch_handler_gets_all_events_at_once(handed):
    stored(4)

    work_off()

    assert handed == [["evt_0", "evt_1", "evt_2", "evt_3"]]
    assert statuses() == ["processed"] * 4
    assert WebhookEvent.objects.filter(account="acted on").count() == 4


def test_a_batch_handler_gets_no_foreign_event_and_no_locked_customers(handed, monkeypatch):
    rows = stored(4)
    WebhookEvent.objects.filter(pk=rows[1].pk).update(livemode=True)
    monkeypatch.setattr(claims, "acquire_customer_locks", lambda wanted: wanted - {"cus_2"})

    batches.process_batch(claims.claim_batch(), until=float("inf"))

    assert handed[0] == ["evt_0", "evt_3"]


def test_when_a_batch_handler_fails_only_the_bad_event_fails(handed):
    stored(2)
    append_event(event("evt_9", type="demo.bad", object={"id": "obj_9", "customer": "cus_9"}), source=FETCH)
    make_events_due()

    work_off()

    assert handed == [["evt_0", "evt_1", "evt_9"], ["evt_0"], ["evt_1"], ["evt_9"]]
    assert statuses() == ["processed", "processed", "failed"]
    assert WebhookEvent.objects.filter(account="acted on").count() == 2


def test_what_it_takes_is_counted_as_everybodys(handle):
    @dispatch.handles_batch("demo.*")
    def slow(events):
        time.sleep(0.02)

    stored(2)

    done = batches.process_batch(claims.claim_batch(), until=float("inf"))

    assert [one.seconds >= 0.01 for one in done] == [True, True]


def test_a_lost_claim_has_no_effect_and_the_rest_of_its_batch_has(seen):
    rows = stored(3)
    batch = claims.claim_batch()
    WebhookAttempt.objects.filter(event=rows[1]).update(outcome="lost")  # and another worker has it by now
    WebhookEvent.objects.filter(pk=rows[1].pk).update(attempts=2)
    WebhookAttempt.objects.create(event=rows[1], number=2, trigger="sweep", worker="another")

    done = batches.process_batch(batch, until=float("inf"))

    assert seen == ["evt_0", "evt_2"]
    assert [one.outcome for one in done if one.claim.event_id == rows[1].pk] == [None]
    assert list(rows[1].attempt_log.order_by("number").values_list("outcome", flat=True)) == ["lost", "running"]
    assert statuses() == ["processed", "queued", "processed"]


def test_a_lost_attempt_has_no_effect_though_no_worker_has_taken_over(seen):
    rows = stored(2)
    batch = claims.claim_batch()
    WebhookAttempt.objects.filter(event=rows[0]).update(outcome="lost")

    batches.process_batch(batch, until=float("inf"))

    assert seen == ["evt_1"]
    assert [row.attempt_log.get().outcome for row in rows] == ["lost", "processed"]


def test_earlier_attempts_stay_in_the_log_as_they_ended(seen):
    rows = stored(2)
    claims.release_claims(claims.claim_batch())

    work_off()

    assert seen == ["evt_0", "evt_1"]
    outcomes = [list(row.attempt_log.order_by("number").values_list("outcome", flat=True)) for row in rows]
    assert outcomes == [["postponed", "processed"]] * 2


def test_an_event_that_is_settled_already_has_no_effect_again(seen):
    rows = stored(2)
    batch = claims.claim_batch()
    WebhookEvent.objects.filter(pk=rows[0].pk).update(status="failed")

    batches.process_batch(batch, until=float("inf"))

    assert seen == ["evt_1"]
    assert statuses() == ["failed", "processed"]


def test_handlers_get_the_event_as_it_is_stored():
    (row,) = stored(1)
    batch = claims.claim_batch()

    (held,) = claims.lock_claimed_batch(batch).values()

    read = WebhookEvent.objects.select_related("payload").get(pk=row.pk)
    fields = [field.attname for field in row._meta.concrete_fields]
    assert [getattr(held, field) for field in fields] == [getattr(read, field) for field in fields]
    assert (bytes(held.payload.body), held.payload.headers) == (bytes(read.payload.body), read.payload.headers)


def test_a_handler_that_is_registered_later_is_found(handle):
    effects = []
    handle("demo.*")(lambda event, data: effects.append("first"))
    (row,) = stored(1)
    event_worker.process_event(row.pk)

    handle("demo.created")(lambda event, data: effects.append("second"))
    stored_later = append_event(event("evt_later"), source=FETCH)
    event_worker.process_event(stored_later.pk)

    assert effects == ["first", "first", "second"]


def test_what_concerns_nobody_is_ignored_with_its_reason_in_company(seen):
    stored(2)
    append_event(event("evt_8", livemode=True), source=FETCH)
    append_event(event("evt_9", type="unhandled.type"), source=FETCH)
    make_events_due()

    work_off()

    read = WebhookEvent.objects.filter(status="ignored").order_by("id").values_list("external_id", "last_error")
    assert list(read) == [("evt_8", "livemode mismatch"), ("evt_9", "no handler")]
    assert WebhookAttempt.objects.filter(outcome="ignored").count() == 2


def test_a_transaction_takes_no_event_after_its_time_limit(seen, monkeypatch):
    monkeypatch.setattr(batches, "TRANSACTION_SECONDS", -1.0)
    rows = stored(3)

    share = batches._process_in_one_transaction(claims.claim_batch())

    assert [one.claim.event_id for one in share] == [rows[0].pk]
    assert statuses() == ["processed", "queued", "queued"]


@pytest.fixture
def asked(monkeypatch):
    """Which events were prepared; no preparation is registered but the test's own."""
    monkeypatch.setattr(dispatch, "_prefetches", dispatch.Registry())
    return []


def prepare_demo(asked, **options):
    before_transaction("demo.*", **options)(
        lambda event, data: asked.append((event.external_id, connection.in_atomic_block))
    )


def test_an_event_with_a_prefetch_is_processed_alone(seen, asked):
    prepare_demo(asked)
    stored(2)
    batch = claims.claim_batch()

    assert batches.process_batch(batch, until=float("inf")) == []
    event_worker._process_one_by_one(batch, until=float("inf"))

    assert [event_id for event_id, _ in asked] == seen == ["evt_0", "evt_1"]


def test_an_event_that_needs_no_prefetch_is_processed_in_the_batch(seen, asked):
    questions = []
    rows = stored(4)

    def when(event_ids):
        questions.append(sorted(event_ids))
        return {rows[2].pk} & set(event_ids)

    prepare_demo(asked, when=when)
    batch = claims.claim_batch()

    done = batches.process_batch(batch, until=float("inf"))

    assert seen == ["evt_0", "evt_1", "evt_3"]
    assert questions == [[row.pk for row in rows]]  # all at once
    event_worker._process_one_by_one(
        [claim for claim in batch if claim not in [one.claim for one in done]], float("inf")
    )
    assert [event_id for event_id, _ in asked] == ["evt_2"]
    assert seen == ["evt_0", "evt_1", "evt_3", "evt_2"]
    assert statuses() == ["processed"] * 4


def test_alone_what_has_nothing_to_ask_does_not_ask(seen, asked):
    prepare_demo(asked, when=lambda event_ids: set())
    (row,) = stored(1)

    event_worker.process_event(row.pk)

    assert (seen, asked) == (["evt_0"], [])


def test_where_the_need_cannot_be_told_each_is_acted_on_alone(seen, asked):
    def when(event_ids):
        if len(event_ids) > 1:
            raise RuntimeError("no answer")
        return set(event_ids)

    prepare_demo(asked, when=when)
    stored(2)
    append_event(event("evt_9", type="unhandled.type"), source=FETCH)
    make_events_due()

    work_off()

    assert [event_id for event_id, _ in asked] == seen == ["evt_0", "evt_1"]
    assert statuses() == ["processed", "processed", "ignored"]


def test_events_of_one_customer_keep_their_order_in_one_transaction(seen):
    for number in range(3):
        append_event(event(f"evt_{number}"), source=FETCH)
    make_events_due()

    done = batches.process_batch(claims.claim_batch(), until=float("inf"))

    assert seen == ["evt_0", "evt_1", "evt_2"]
    assert len(done) == 3


@pytest.mark.postgres
@pytest.mark.usefixtures("_customers_are_locked")
def test_events_of_a_locked_customer_are_left_out_and_postponed(seen, monkeypatch):
    rows = stored(3)
    free = claims.acquire_customer_locks
    monkeypatch.setattr(claims, "acquire_customer_locks", lambda wanted: free(wanted) - {"cus_1"})

    work_off()

    assert seen == ["evt_0", "evt_2"]
    assert list(rows[1].attempt_log.values_list("outcome", "error")) == [("postponed", "customer locked")]
    assert WebhookEvent.objects.filter(~Q(failures=0)).count() == 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_after_an_error_of_the_connection_the_worker_has_another(handle):
    @handle("demo.*")
    def lose_the_connection(event, data):
        raise OperationalError("the connection is lost")

    stored(2)
    batch = claims.claim_batch()
    before = connection.connection

    assert batches.process_batch(batch, until=float("inf")) == []

    connection.ensure_connection()
    assert connection.connection is not before
