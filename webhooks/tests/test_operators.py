"""Logs and replay, for operators."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.utils.dateparse import parse_datetime

from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.testing.factories import user_factories
from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events.actions import store_deliveries
from saas.webhook_events.event_storage import IncomingEvent
from saas.webhook_events.models import ReplayBatch, WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookPayload
from webhooks import views

LOGS = "/api/webhooks/logs"


def stored(*ids, **fields):
    store_deliveries(
        [
            IncomingEvent.parse(json_bytes(event(event_id, **fields)), headers={"User-Agent": "Stripe/1.0"})
            for event_id in ids
        ]
    )


@pytest.fixture
def closed(settings):
    """As in production: the operator API wants a staff token."""
    settings.WEBHOOKS_OPEN_OPERATOR_API = False


def test_the_log_tells_of_every_event_newest_first(webhooks, seen, drain):
    stored("evt_1")
    drain()
    stored("evt_2", type="unhandled.type", object={"id": "obj_2", "object": "thing"})

    body = webhooks.get(LOGS).json()

    assert set(body) == {"items", "total", "next"}
    assert (body["total"], body["next"]) == (2, None)
    second, first = body["items"]
    assert second["event_id"] == "evt_2"
    assert {name: first[name] for name in ("event_id", "event_type", "status", "replay_count", "attempts")} == {
        "event_id": "evt_1",
        "event_type": "demo.created",
        "status": "processed",
        "replay_count": 0,
        "attempts": 1,
    }
    assert first["processed_at"] >= first["received_at"]
    assert first["last_error"] is None
    assert first["metadata"]["next_attempt_at"] is None
    assert second["metadata"]["next_attempt_at"] is not None
    assert first["metadata"]["source"] == "delivery"
    assert first["metadata"]["object_id"] == "obj_1"
    assert first["metadata"]["livemode"] is False
    assert first["metadata"]["api_version"] == "2026-10-28.endive"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("status=queued", ["evt_3", "evt_2"]),
        ("status=processed", ["evt_1"]),
        ("type=demo.created", ["evt_2", "evt_1"]),
        ("type=other.*", ["evt_3"]),
        ("search=evt_2", ["evt_2"]),
        ("search=obj_9", ["evt_3"]),
        ("search=THER", ["evt_3"]),
        ("search=%25", []),
        ("since=2000-01-01T00:00:00Z", ["evt_3", "evt_2", "evt_1"]),
        ("until=2000-01-01T00:00:00Z", []),
        ("until=2000-01-01T00:00:00+02:00", []),
        ("since=2000-01-01 00:00:00.5+0200", ["evt_3", "evt_2", "evt_1"]),
        ("status=queued&type=other.made", ["evt_3"]),
        ("limit=1", ["evt_3"]),
    ],
)
def test_the_log_is_filtered(webhooks, seen, drain, query, ids):
    stored("evt_1")
    drain()
    stored("evt_2")
    stored("evt_3", type="other.made", object={"id": "obj_9", "object": "thing"})

    assert [item["event_id"] for item in webhooks.get(f"{LOGS}?{query}").json()["items"]] == ids


def test_since_includes_its_moment_and_until_does_not(webhooks):
    stored("evt_1")
    WebhookEvent.objects.update(received_at=datetime(2026, 3, 1, 12, tzinfo=UTC))

    totals = [webhooks.get(f"{LOGS}?{name}=2026-03-01T12:00:00Z").json()["total"] for name in ("since", "until")]

    assert totals == [1, 0]


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense",
        "since=yesterday",
        "since=2000-01-01 02:00 30:99",
        "limit=0",
        "cursor=made-up",
        "search=" + "x" * 256,
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(webhooks, query):
    answer = webhooks.get(f"{LOGS}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_the_log_comes_in_pages(webhooks):
    stored(*[f"evt_{number}" for number in range(5)])

    first = webhooks.get(f"{LOGS}?limit=2").json()
    second = webhooks.get(f"{LOGS}?limit=2&cursor={first['next']}").json()
    third = webhooks.get(f"{LOGS}?limit=2&cursor={second['next']}").json()

    ids = [item["event_id"] for page in (first, second, third) for item in page["items"]]
    assert ids == ["evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]
    assert [page["total"] for page in (first, second, third)] == [5, 5, 5]
    assert third["next"] is None


def test_one_event_shows_its_bytes_its_attempts_and_what_came_again(webhooks, seen, drain):
    stored("evt_1")
    drain()
    stored("evt_1")
    webhooks.post("/api/webhooks/replay/evt_1")
    drain()
    WebhookAttempt.objects.update(finished_at=F("started_at") + timedelta(seconds=1.5))

    body = webhooks.get(f"{LOGS}/evt_1").json()

    assert body["payload"] == event("evt_1")
    assert body["headers"] == {"User-Agent": "Stripe/1.0"}
    shown = [(attempt["number"], attempt["outcome"], attempt["milliseconds"]) for attempt in body["attempt_log"]]
    assert shown == [(2, "processed", 1500), (1, "processed", 1500)]
    assert [repeat["outcome"] for repeat in body["repeats"]] == ["duplicate"]


def test_one_event_shows_its_newest_attempts_and_repeats(webhooks, seen, drain, monkeypatch):
    monkeypatch.setattr(views, "NEWEST", 2)
    stored("evt_1")
    drain()
    for _ in range(3):
        stored("evt_1")
        webhooks.post("/api/webhooks/replay/evt_1")
        drain()

    body = webhooks.get(f"{LOGS}/evt_1").json()

    newest = WebhookDelivery.objects.order_by("-id")[:2]
    assert [attempt["number"] for attempt in body["attempt_log"]] == [4, 3]
    assert [parse_datetime(repeat["at"]) for repeat in body["repeats"]] == [row.at for row in newest]


def test_the_log_and_one_event_cost_a_fixed_number_of_queries(
    webhooks, staff_member, closed, django_assert_num_queries
):
    stored("evt_1", "evt_2", "evt_3")

    with django_assert_num_queries(3):  # session, count, page
        webhooks.get(LOGS, token=staff_member.token)
    with django_assert_num_queries(4):  # session, event with payload, attempts, repeats
        webhooks.get(f"{LOGS}/evt_1", token=staff_member.token)


@pytest.mark.parametrize(("method", "path"), [("GET", f"{LOGS}/evt_none"), ("POST", "/api/webhooks/replay/evt_none")])
def test_an_unknown_event_is_not_found(webhooks, method, path):
    answer = webhooks.send(method, path)

    assert answer.status_code == 404
    assert answer.json()["detail"] == "Webhook event not found"


def test_a_processed_event_can_be_replayed_and_is_audited(webhooks, staff_member, seen, drain, closed):
    stored("evt_1")
    drain()

    answer = webhooks.post("/api/webhooks/replay/evt_1", {"reason": "the books"}, token=staff_member.token)
    drain()

    assert answer.status_code == 202
    assert answer.json() == {"status": "replay_accepted", "event_id": "evt_1", "replay_count": 1}
    assert seen == ["evt_1", "evt_1"]
    trail = AuditEvent.objects.get(action="webhook_event.replayed")
    assert (trail.actor, trail.target, trail.reason) == (staff_member.user.id, "evt_1", "the books")


def test_a_waiting_event_can_be_replayed_too(webhooks, seen, drain):
    stored("evt_1")

    answer = webhooks.post("/api/webhooks/replay/evt_1")
    drain()

    assert answer.json()["replay_count"] == 1
    assert seen == ["evt_1"]
    assert AuditEvent.objects.get(action="webhook_event.replayed").actor == "local-operator"


def test_an_event_whose_payload_is_gone_cannot_be_replayed(webhooks, drain):
    stored("evt_1")
    drain()
    WebhookPayload.objects.all().delete()

    answer = webhooks.post("/api/webhooks/replay/evt_1")

    assert (answer.status_code, answer.json()["code"]) == (409, "payload_expired")
    assert WebhookEvent.objects.get().replay_count == 0
    assert webhooks.get(f"{LOGS}/evt_1").json()["payload"] is None


@pytest.mark.parametrize("body", [b"[]", b"{", b"null", b'{"reason": "\\u0000"}'])
def test_a_replay_with_a_broken_body_changes_nothing(webhooks, body):
    stored("evt_1")

    assert webhooks.post("/api/webhooks/replay/evt_1", raw=body).status_code == 400
    assert WebhookEvent.objects.get().replay_count == 0


CALLS = [("get", LOGS), ("get", f"{LOGS}/evt_1"), ("post", "/api/webhooks/replay/evt_1")]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_staff_token_operators_calls_are_refused(webhooks, customer, closed, method, path):
    stored("evt_1")

    anonymous, by_customer = getattr(webhooks, method)(path), getattr(webhooks, method)(path, token=customer.token)

    assert anonymous.status_code == by_customer.status_code == 401
    assert b"obj_1" not in anonymous.content + by_customer.content
    assert WebhookEvent.objects.get().replay_count == 0


@pytest.mark.parametrize(
    "origin",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_FORWARDED": "for=203.0.113.9"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_REAL_IP": "203.0.113.9"},
    ],
)
def test_the_open_operator_api_is_open_on_this_machine_only(webhooks, settings, origin):
    settings.WEBHOOKS_OPEN_OPERATOR_API = True

    assert webhooks.generic("GET", LOGS, **origin).status_code == 401
    assert webhooks.generic("GET", LOGS, REMOTE_ADDR="::1").status_code == 200


def test_an_unusable_token_is_refused_even_where_the_operator_api_is_open(webhooks):
    assert webhooks.get(LOGS, token="nonsense").status_code == 401


REPLAY, REPLAYS = "/api/webhooks/replay", "/api/webhooks/replays"


def test_a_dry_run_says_which_events_would_be_replayed_and_replays_none(webhooks):
    stored("evt_1", "evt_2")

    body = webhooks.post(REPLAY, {"type": "demo.*", "dry_run": True}).json()

    assert (body["dry_run"], body["matching"], body["in_flight"]) == (True, 2, 0)
    assert [sample["event_id"] for sample in body["samples"]] == ["evt_2", "evt_1"]
    assert not ReplayBatch.objects.exists()


def test_a_bulk_replay_is_started_watched_and_canceled(webhooks, staff_member, closed, seen, drain):
    stored("evt_1", "evt_2")
    drain()

    started = webhooks.post(REPLAY, {"status": "processed", "reason": "the books"}, token=staff_member.token)
    batch = started.json()["batch"]
    second = webhooks.post(REPLAY, {"status": "processed"}, token=staff_member.token)
    watched = webhooks.get(f"{REPLAYS}/{batch['id']}", token=staff_member.token)
    canceled = webhooks.post(f"{REPLAYS}/{batch['id']}/cancel", token=staff_member.token)
    again = webhooks.post(f"{REPLAYS}/{batch['id']}/cancel", token=staff_member.token)

    assert (started.status_code, started.json()["status"]) == (202, "replay_accepted")
    assert (batch["state"], batch["matched"], batch["created_by"]) == ("running", 2, staff_member.user.id)
    assert batch["reason"] == "the books"
    assert (second.status_code, second.json()["code"]) == (409, "replay_running")
    assert watched.json()["batch"] == batch
    assert (canceled.status_code, canceled.json()["batch"]["state"]) == (200, "canceled")
    assert (again.status_code, again.json()["code"]) == (409, "replay_ended")
    assert AuditEvent.objects.get(action="replay_batch.canceled").actor == staff_member.user.id


def test_a_bulk_replay_answers_at_its_old_addresses_too(webhooks, seen, drain):
    stored("evt_1")
    drain()
    batch = webhooks.post(REPLAY, {"status": "processed"}).json()["batch"]

    assert webhooks.get(f"{REPLAY}/{batch['id']}").json() == webhooks.get(f"{REPLAYS}/{batch['id']}").json()
    assert webhooks.post(f"{REPLAY}/{batch['id']}/cancel").json()["batch"]["state"] == "canceled"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "non_field_errors"),
        ({"dry_run": True}, "non_field_errors"),
        ({"reason": "x"}, "non_field_errors"),
        ({"status": "done"}, "status"),
        ({"status": "failed", "dry_run": "yes"}, "dry_run"),
        ({"type": 7}, "type"),
        ({"since": "soon"}, "since"),
        ({"search": "x" * 256}, "search"),
        ({"type": "x" * 256}, "type"),
        ({"status": "failed", "reason": "x" * 501}, "reason"),
    ],
)
def test_a_bulk_replay_that_makes_no_sense_is_refused(webhooks, body, field):
    answer = webhooks.post(REPLAY, body)

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert not ReplayBatch.objects.exists()


def test_an_unknown_bulk_replay_is_not_found(webhooks):
    assert webhooks.get(f"{REPLAYS}/rpl_none").status_code == 404
    assert webhooks.post(f"{REPLAYS}/rpl_none/cancel").status_code == 404


def test_stats_return_the_inbox_statistics(webhooks, seen, drain, staff_member, closed, django_assert_num_queries):
    stored("evt_1")
    drain()

    with django_assert_num_queries(12):
        body = webhooks.get("/api/webhooks/stats", token=staff_member.token).json()

    assert set(body) == {
        "by_status",
        "counts_are_exact",
        "due",
        "oldest_due_seconds",
        "last_hour",
        "failure_rate",
        "lag_seconds",
    }
    assert body["by_status"]["processed"] == 1
    assert body["failure_rate"] == 0.0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", REPLAY),
        ("get", f"{REPLAYS}/rpl_1"),
        ("post", f"{REPLAYS}/rpl_1/cancel"),
        ("get", "/api/webhooks/stats"),
    ],
)
def test_bulk_replays_and_stats_want_a_staff_token_too(webhooks, customer, closed, method, path):
    assert getattr(webhooks, method)(path).status_code == 401
    assert getattr(webhooks, method)(path, token=customer.token).status_code == 401


@pytest.mark.parametrize("path", [f"{REPLAY}/evt_1", REPLAY, f"{REPLAYS}/rpl_1/cancel"])
def test_staff_who_may_only_read_cannot_replay(webhooks, closed, drain, path):
    stored("evt_1")
    reader = user_factories.create_staff_member("", StaffRole.SUPPORT_READ)

    assert webhooks.get(f"{LOGS}/evt_1", token=reader.token).status_code == 200
    assert webhooks.post(path, {"status": "queued"}, token=reader.token).status_code == 403
    assert WebhookEvent.objects.get().replay_count == 0
    assert not ReplayBatch.objects.exists()
