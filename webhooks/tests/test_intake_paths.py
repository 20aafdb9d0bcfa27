"""That all ways into the service give the same answers, beside those of ``test_intake.py``, which all of them share."""

import pytest

from saas.testing.clients import ServiceClient
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.webhook_events import actions
from saas.webhook_events.models import WebhookEvent

STRIPE = "/api/webhooks/stripe"


@pytest.fixture
def view(db):
    return ServiceClient("webhooks")


def deliver(client, body, headers=None):
    return client.post(STRIPE, raw=body, headers={**signature_headers(body), **(headers or {})})


def compared(answer):
    own = {"Date", "Server", "X-Request-Id", "X-Request-ID", "Content-Length"}
    return {name.title(): value for name, value in answer.headers.items() if name not in own}


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Stripe-Signature": "nonsense"}])
def test_every_way_in_sends_the_same_headers(intake, view, headers):
    one, other = (
        deliver(view, json_bytes(event("evt_1")), headers),
        deliver(intake, json_bytes(event("evt_2")), headers),
    )

    assert one.status_code == other.status_code
    assert compared(one) == compared(other)


@pytest.mark.parametrize(("sent", "is_kept"), [("client.id-1", True), ("no spaces", False), ("x" * 65, False)])
def test_a_decent_request_id_comes_back(intake, sent, is_kept):
    answer = deliver(intake, json_bytes(event()), {"X-Request-ID": sent})

    assert (answer.headers["X-Request-Id"] == sent) is is_kept
    assert answer.headers["X-Request-Id"]


def test_an_unknown_host_is_refused(intake):
    answer = deliver(intake, json_bytes(event()), {"Host": "evil.example"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert not WebhookEvent.objects.exists()


def test_a_repeat_is_noted_with_the_address_behind_the_proxies(intake, settings):
    settings.TRUSTED_PROXY_COUNT, settings.TRUSTED_PROXY_CIDRS = 1, ["127.0.0.0/8"]
    body = json_bytes(event())
    deliver(intake, body)

    deliver(intake, body, {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"})

    assert WebhookEvent.objects.get().repeats.get().address == "203.0.113.7"


def test_what_is_not_a_delivery_is_djangos(intake):
    assert intake.get("/health").json()["service"] == "webhooks"
    assert intake.get("/nowhere").json()["code"] == "not_found"
    assert b"http_requests_total" in intake.get("/metrics").content


def test_what_was_answered_is_counted_under_its_route(intake):
    deliver(intake, json_bytes(event()))

    assert (
        b'http_requests_total{method="POST",route="api/webhooks/stripe",status="202"}' in intake.get("/metrics").content
    )


def test_a_crash_is_a_problem_document(intake, monkeypatch):
    monkeypatch.setattr(actions, "new_events", lambda deliveries: 1 / 0)

    answer = deliver(intake, json_bytes(event()))

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]
