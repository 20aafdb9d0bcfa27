"""The intake of the provider's deliveries, over HTTP, by each way in."""

import base64
import io
import time

import pytest
import time_machine
from django.db import OperationalError
from prometheus_client import REGISTRY

from saas.mail.models import Mail
from saas.server.request_head import MAX_HEADER_BYTES
from saas.testing.clients import ServiceClient
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.intake_clients import TransactionConnection
from saas.testing.servers.rsgi import RSGIClient
from saas.webhook_events import actions, event_storage
from saas.webhook_events.models import WebhookDelivery, WebhookEvent

INVALID = {"status": 400, "code": "invalid_signature", "detail": "Invalid webhook signature"}
STRIPE = "/api/webhooks/stripe"


@pytest.fixture
def webhooks(intake):
    """Every test here runs by every way in."""
    return intake


def deliver(webhooks, body, headers=None, **options):
    raw = body if isinstance(body, bytes) else json_bytes(body)
    return webhooks.post(STRIPE, raw=raw, headers=signature_headers(raw) if headers is None else headers, **options)


def assert_refused(answer):
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {name: answer.json()[name] for name in INVALID} == INVALID
    assert not WebhookEvent.objects.exists()


def test_a_signed_event_is_accepted_and_stored(webhooks):
    body = json_bytes(event())

    answer = deliver(webhooks, body)

    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "event_id": "evt_1"}
    assert bytes(WebhookEvent.objects.get().payload.body) == body


def test_a_repeat_is_a_duplicate_and_acts_no_second_time(webhooks, seen, drain):
    deliver(webhooks, event())
    drain()

    answer = deliver(webhooks, event())
    drain()

    assert answer.status_code == 202
    assert answer.json() == {"status": "duplicate", "event_id": "evt_1", "attempts": 1, "replay_count": 0}
    assert seen == ["evt_1"]
    assert WebhookDelivery.objects.get().outcome == "duplicate"


def test_the_starters_unsigned_event_is_accepted_processed_and_replayed(webhooks, drain):
    body = {
        "id": "evt_test_123",
        "type": "customer.subscription.updated",
        "data": {"subscription_id": "sub_abc", "status": "active"},
    }

    answer = webhooks.post(STRIPE, body)
    drain()

    assert (answer.status_code, answer.json()) == (202, {"status": "accepted", "event_id": "evt_test_123"})
    assert WebhookEvent.objects.get().status == "processed"
    replayed = webhooks.post("/api/webhooks/replay/evt_test_123")
    assert replayed.status_code == 202
    assert replayed.json() == {"status": "replay_accepted", "event_id": "evt_test_123", "replay_count": 1}
    assert WebhookEvent.objects.get().status == "replay_queued"
    drain()
    assert WebhookEvent.objects.get().status == "processed"


def test_without_a_signature_only_where_it_is_allowed(webhooks, settings):
    settings.WEBHOOKS_ALLOW_UNSIGNED = False

    assert_refused(deliver(webhooks, event(), {}))


MALFORMED = [
    "",
    " ",
    "nonsense",
    "t=1",
    "t={now},v0={good}",
    "v1={good}",
    "t={now},t={now},v1={good}",
    "t={now},v1=",
    "t={now},v1",
    "t,v1={good}",
    "t=,v1={good}",
    "t={now}, v1={good}",
    " t={now},v1={good}",
    "t={now};v1={good}",
    "t=+{now},v1={good}",
    "t=-{now},v1={good}",
    "t={now}.0,v1={good}",
    "t=0x6553f100,v1={good}",
    "t=999999999999,v1={good}",
    "t=" + "9" * 5000 + ",v1={good}",
    "t={now},v1=\u00e9\u00e9",
    "t={now},v1={good}\u00e9",
    "T={now},V1={good}",
    '{{"t": {now}, "v1": "{good}"}}',
    "t={now},v1={good}," + "x=" + "0" * 65_536,
]


@pytest.mark.parametrize("form", MALFORMED, ids=range(len(MALFORMED)))
def test_no_malformed_header_passes(webhooks, form):
    body = json_bytes(event())
    good = signature_headers(body)["Stripe-Signature"].rpartition("=")[2]
    header = form.format(now=int(time.time()), good=good)
    if isinstance(webhooks, RSGIClient) and header != header.strip():
        pytest.skip("HTTP takes these blanks off before anybody sees them")

    answer = deliver(webhooks, body, {"Stripe-Signature": header})

    if isinstance(webhooks, RSGIClient) and not header.isascii():
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
        assert not WebhookEvent.objects.exists()
    elif isinstance(webhooks, RSGIClient) and len(header) > MAX_HEADER_BYTES:
        assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")
        assert not WebhookEvent.objects.exists()
    else:
        assert_refused(answer)


@pytest.mark.parametrize("age", [302, -302, -315_360_000])
def test_a_signature_from_another_time_does_not_pass(webhooks, age):
    body = json_bytes(event())

    assert_refused(deliver(webhooks, body, signature_headers(body, at=time.time() - age)))


def test_current_and_next_secret_count_and_no_other(webhooks, settings):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_current", "whsec_next"]
    statuses = {}
    for number, secret in enumerate(["whsec_current", "whsec_next", "whsec_retired", ""]):
        body = json_bytes(event(f"evt_{number}"))
        statuses[secret] = deliver(webhooks, body, signature_headers(body, secret=secret)).status_code

    assert statuses == {"whsec_current": 202, "whsec_next": 202, "whsec_retired": 400, "": 400}
    assert WebhookEvent.objects.count() == 2


@time_machine.travel("2026-01-01T00:00:00Z", tick=False)  # all within one second: the fourth is one too many to note
def test_refusals_are_recorded_with_their_reason(webhooks, monkeypatch):
    monkeypatch.setattr(actions, "_refusals", actions.Sampler(per_second=3))
    body = json_bytes(event())
    deliver(webhooks, body, {"Stripe-Signature": "nonsense"})
    deliver(webhooks, body, signature_headers(body, secret="whsec_other"))
    deliver(webhooks, body, signature_headers(body, at=1))
    deliver(webhooks, body, signature_headers(body, at=2))

    noted = WebhookDelivery.objects.order_by("id").values_list("outcome", "address", "body_size")
    assert list(noted) == [(outcome, "127.0.0.1", len(body)) for outcome in ("malformed", "bad_signature", "stale")]


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("text/plain", {}),
        ("application/x-www-form-urlencoded", {}),
        ("multipart/form-data; boundary=x", {}),
        ("application/json; charset=utf-16", {}),
        ("", {}),
        ("application/json", {"Content-Encoding": "gzip"}),
        ("application/json", {"Accept": "text/html"}),
    ],
)
def test_the_raw_bytes_count_whatever_the_headers_say_of_them(webhooks, content_type, headers):
    body = json_bytes(event())

    answer = deliver(webhooks, body, {**signature_headers(body), **headers}, content_type=content_type)

    assert answer.status_code == 202
    payload = WebhookEvent.objects.get().payload
    assert bytes(payload.body) == body
    assert payload.headers.get("Content-Encoding") == headers.get("Content-Encoding")
    assert payload.headers.get("Content-Type", "") == content_type


def sized(size):
    body = json_bytes(event(padding="x"))
    return body[:-2] + b"x" * (size - len(body)) + body[-2:]


def rejected_as_too_large():
    return REGISTRY.get_sample_value("webhook_deliveries_rejected_total", {"reason": "too_large"}) or 0


def in_pieces(webhooks, body, method="POST", path=STRIPE):
    chunked = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    return webhooks.generic(
        method, path, b"", headers={**signature_headers(body), "Transfer-Encoding": "chunked"}, **chunked
    )


@pytest.mark.parametrize("send", [deliver, in_pieces])
@pytest.mark.parametrize(("extra", "status"), [(b"", 202), (b" ", 413)])
def test_a_body_at_the_limit_is_accepted_and_one_byte_more_is_refused(webhooks, send, extra, status):
    before = rejected_as_too_large()

    answer = send(webhooks, sized(1_048_576) + extra)

    assert answer.status_code == status
    assert WebhookEvent.objects.count() == (status == 202)
    assert rejected_as_too_large() - before == (status == 413)


@pytest.mark.parametrize(("method", "path"), [("PUT", STRIPE), ("POST", "/api/webhooks/replay")])
def test_what_is_too_large_and_no_delivery_is_not_counted_as_one(webhooks, method, path):
    before = rejected_as_too_large()

    assert in_pieces(webhooks, sized(1_048_577), method, path).status_code == 413
    assert rejected_as_too_large() == before


UNREADABLE = [
    b"\xff\xfe",
    b"\x00",
    '{"id": "evt_1"}'.encode("utf-16"),
    b'{"amount": NaN}',
    b"[" * 100_000,
    b"[]",
    b"null",
    b"",
    b'{"type": "demo.created"}',
    b'{"id": 1, "type": "demo.created"}',
    b'{"id": "evt_1", "id": "evt_2", "type": "demo.created"}',
    b'{"id": "evt_1", "type": "demo.created", "created": 1e18}',
]


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
def test_what_is_signed_but_no_event_is_kept_aside(webhooks, settings, body):
    settings.WEBHOOKS_NOTIFY_EMAIL = "ops@example.net"

    first, again = deliver(webhooks, body), deliver(webhooks, body)

    row = WebhookEvent.objects.get()
    assert (first.status_code, first.json()) == (202, {"status": "accepted", "event_id": row.external_id})
    assert again.json()["status"] == "duplicate"
    assert (row.status, bytes(row.payload.body)) == ("quarantined", body)
    assert Mail.objects.count() == 1
    shown = webhooks.get(f"/api/webhooks/logs/{row.external_id}")
    assert shown.status_code == 200
    assert base64.b64decode(shown.json()["body_base64"]) == body


@pytest.mark.parametrize("body", [*UNREADABLE[:4], *UNREADABLE[5:]], ids=range(len(UNREADABLE) - 1))
def test_what_is_neither_signed_nor_an_event_is_refused(webhooks, body):
    answer = webhooks.post(STRIPE, raw=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_event")
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("name", ["a\\u0000b", "\\ud800", "\u00e9\u202e"])
def test_odd_characters_come_back_as_they_were(webhooks, seen, drain, name):
    body = b'{"id":"evt_1","type":"demo.created","data":{"object":{"id":"obj_1","name":"%b"}}}' % name.encode()

    deliver(webhooks, body)
    drain()

    assert bytes(WebhookEvent.objects.get().payload.body) == body
    assert webhooks.get("/api/webhooks/logs/evt_1").json()["status"] == "processed"


@pytest.mark.parametrize("fields", [{"livemode": True}, {"account": "acct_other"}])
def test_the_other_mode_and_other_accounts_are_kept_and_ignored(webhooks, seen, drain, fields):
    answer = deliver(webhooks, event(**fields))
    drain()

    assert answer.status_code == 202
    assert WebhookEvent.objects.get().status == "ignored"
    assert seen == []


def test_the_same_id_with_other_bytes_is_flagged(webhooks):
    deliver(webhooks, event())

    answer = deliver(webhooks, event(type="demo.other"))

    assert (answer.status_code, answer.json()["status"]) == (202, "duplicate")
    item = webhooks.get("/api/webhooks/logs").json()["items"][0]
    assert (item["event_type"], item["metadata"]["body_conflict"]) == ("demo.created", True)


@time_machine.travel("2026-01-01T00:00:00Z", tick=False)  # all within one minute
def test_only_refused_deliveries_count_against_an_address(webhooks, settings):
    settings.RATE_LIMIT_SCALE = 1
    body = json_bytes(event())
    no_event = b"null"  # counts though it is not signed
    attempts = [(body, {"Stripe-Signature": "nonsense"}), (no_event, {})] * 31
    refused = [deliver(webhooks, *attempt).status_code for attempt in attempts]

    assert refused == [400] * 60 + [429] * 2
    assert deliver(webhooks, body).status_code == 202
    elsewhere = webhooks.post(STRIPE, raw=body, headers={"Stripe-Signature": "x"})
    assert elsewhere.headers["Retry-After"]


class BrokenOff(io.BytesIO):
    def read(self, *_):
        raise OSError("the client has left")


def test_a_body_that_breaks_off_is_refused(db):
    client = ServiceClient("webhooks")

    answer = client.generic("POST", STRIPE, b"", **{"wsgi.input": BrokenOff(), "CONTENT_LENGTH": "5"})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_many_good_deliveries_are_never_throttled(webhooks, settings):
    settings.RATE_LIMIT_SCALE = 1

    statuses = {deliver(webhooks, event(f"evt_{number}")).status_code for number in range(80)}

    assert statuses == {202}


def test_a_database_that_is_away_asks_the_provider_to_try_again(webhooks, monkeypatch):
    def away(*_, **__):
        raise OperationalError("connection refused")

    monkeypatch.setattr(event_storage, "insert_events", away)
    monkeypatch.setattr(TransactionConnection, "execute", away)

    answer = deliver(webhooks, event())

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "unavailable"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_the_intake_takes_posts_only(webhooks, method):
    answer = getattr(webhooks, method)(STRIPE)

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_browser_elsewhere_cannot_post_events(webhooks):
    answer = deliver(webhooks, event(), {**signature_headers(json_bytes(event())), "Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert not WebhookEvent.objects.exists()


def test_the_intake_is_in_the_schema(webhooks):
    paths = webhooks.get("/openapi.json").json()["paths"]

    assert "202" in paths["/api/webhooks/stripe"]["post"]["responses"]
    assert {"/api/webhooks/logs", "/api/webhooks/logs/{event_id}", "/api/webhooks/replay/{event_id}"} <= set(paths)


def test_the_modules_check_themselves(webhooks):
    modules = webhooks.get("/api/health/modules").json()["modules"]

    assert {module["module"]: module["status"] for module in modules} == {
        "signatures": "ok",
        "event-log": "ok",
        "processing": "ok",
    }


COUNTED = [
    'webhook_events_received_total{source="delivery"}',
    "webhook_events_duplicate_total",
    'webhook_deliveries_rejected_total{reason="malformed"}',
]


def counted(webhooks):
    lines = webhooks.get("/metrics").content.decode().splitlines()
    values = dict(line.rpartition(" ")[::2] for line in lines)
    return [float(values.get(name, 0)) for name in COUNTED]


def test_what_came_is_counted(webhooks):
    before = counted(webhooks)
    deliver(webhooks, event())
    for _ in range(2):
        deliver(webhooks, event())
    for _ in range(3):
        deliver(webhooks, event(), {"Stripe-Signature": "nonsense"})

    assert [now - then for now, then in zip(counted(webhooks), before, strict=True)] == [1, 2, 3]
