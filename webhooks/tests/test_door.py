"""What the fast door does beyond the answers of ``test_intake.py``, which all doors share."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection

from saas.context import Context
from saas.testing.clients import ServiceClient
from saas.testing.doors import DoorClient, scope_of, thread_of_the_test
from saas.testing.engines import address_of_the_tests
from saas.testing.inbox import encoded, event, signed
from saas.webhook_events import actions, storing
from saas.webhook_events.deliveries import Delivery
from saas.webhook_events.models import WebhookEvent
from webhooks.door import bodies, writer
from webhooks.door import door as doors
from webhooks.door.bridge import environ_of
from webhooks.door.door import Door
from webhooks.door.writer import Writer

STRIPE = "/api/webhooks/stripe"


@pytest.fixture
def fast(db):
    with thread_of_the_test() as thread:
        yield DoorClient(thread)


@pytest.fixture
def view(db):
    return ServiceClient("webhooks")


def deliver(client, body, headers=None):
    return client.post(STRIPE, raw=body, headers={**signed(body), **(headers or {})})


def compared(answer):
    own = {"Date", "Server", "X-Request-Id", "X-Request-ID", "Content-Length"}
    return {name.title(): value for name, value in answer.headers.items() if name not in own}


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Stripe-Signature": "nonsense"}])
def test_every_door_sends_the_same_headers(door, view, headers):
    one, other = deliver(view, encoded(event("evt_1")), headers), deliver(door, encoded(event("evt_2")), headers)

    assert one.status_code == other.status_code
    assert compared(one) == compared(other)


@pytest.mark.parametrize(("sent", "is_kept"), [("client.id-1", True), ("no spaces", False), ("x" * 65, False)])
def test_a_decent_request_id_comes_back(door, sent, is_kept):
    answer = deliver(door, encoded(event()), {"X-Request-ID": sent})

    assert (answer.headers["X-Request-Id"] == sent) is is_kept
    assert answer.headers["X-Request-Id"]


def test_an_unknown_host_is_refused(door):
    answer = deliver(door, encoded(event()), {"Host": "evil.example"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert not WebhookEvent.objects.exists()


def test_a_repeat_is_noted_with_the_address_behind_the_proxies(door, settings):
    settings.TRUSTED_PROXY_COUNT, settings.TRUSTED_PROXY_CIDRS = 1, ["127.0.0.0/8"]
    body = encoded(event())
    deliver(door, body)

    deliver(door, body, {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"})

    assert WebhookEvent.objects.get().repeats.get().address == "203.0.113.7"


def test_what_is_not_a_delivery_is_djangos(door):
    assert door.get("/health").json()["service"] == "webhooks"
    assert door.get("/nowhere").json()["code"] == "not_found"
    assert b"http_requests_total" in door.get("/metrics").content


def test_what_was_answered_is_counted_under_its_route(door):
    deliver(door, encoded(event()))

    assert (
        b'http_requests_total{method="POST",route="api/webhooks/stripe",status="202"}' in door.get("/metrics").content
    )


def test_a_crash_is_a_problem_document(door, monkeypatch):
    monkeypatch.setattr(actions, "new_rows", lambda deliveries: 1 / 0)

    answer = deliver(door, encoded(event()))

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]


def test_a_crowd_is_asked_to_come_again(fast, monkeypatch):
    monkeypatch.setattr(doors, "MOST_AT_ONCE", 0)

    answer = deliver(fast, encoded(event()))

    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "1")
    assert not WebhookEvent.objects.exists()


# ── Bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def receiving(*pieces):
    left = list(pieces)

    async def receive():
        if not left:
            await asyncio.Event().wait()  # the caller has stopped sending
        piece = left.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": piece != b"end"}

    return receive


def ask(fast, receive, **headers):
    sent = []
    environ = fast._base_environ(PATH_INFO=STRIPE, REQUEST_METHOD="POST", HTTP_STRIPE_SIGNATURE="x", **headers)

    async def send(message):
        sent.append(message)

    asyncio.run(fast.door(scope_of(environ), receive, send))
    return sent


def test_a_body_that_stops_coming_is_refused_after_a_while(fast, monkeypatch):
    monkeypatch.setattr(bodies, "ARRIVAL_SECONDS", 0.01)

    start, rest = ask(fast, receiving(b"{"))

    assert (start["status"], b"connection" in dict(start["headers"])) == (400, True)
    assert b"did not arrive" in rest["body"]


def test_whoever_has_gone_gets_no_answer(fast):
    assert ask(fast, receiving(b"{", None)) == []


@pytest.mark.parametrize(("pieces", "is_read"), [((b"x", b"end"), True), ((b"x" * 5_000_000, b"end"), False)])
def test_a_body_too_large_is_read_for_a_while_so_that_the_answer_is_read(fast, pieces, is_read):
    start, _ = ask(fast, receiving(*pieces), CONTENT_LENGTH="9000000")

    assert start["status"] == 413
    assert ((b"connection", b"close") not in start["headers"]) is is_read


def test_a_header_with_an_underscore_is_no_header(fast):
    scope = scope_of(fast._base_environ(PATH_INFO="/health"))
    scope["headers"] += [(b"x_forwarded_for", b"203.0.113.7"), (b"accept", b"a"), (b"accept", b"b")]

    environ = environ_of(scope, b"")

    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert environ["HTTP_ACCEPT"] == "a,b"


# ── Many at once ─────────────────────────────────────────────────────────────────────────────────────────────────────


def delivery(number):
    return Delivery.of(encoded(event(f"evt_{number}")), headers={})


def store_all(numbers, thread):
    """What ``Writer.store`` brings for each, all asked for at the same moment."""
    return store([delivery(number) for number in numbers], thread)


def store(deliveries, thread, meanwhile=None):
    """With ``meanwhile``, which is called in between, the writer has its connection before."""

    async def main():
        writing, told = Writer(thread), [asyncio.get_running_loop().create_future() for _ in deliveries]
        if meanwhile:
            await opened(writing)
            meanwhile()
        for one, outcome in zip(deliveries, told, strict=True):
            writing.store(one, Context(), outcome.set_result)
        return await asyncio.gather(*told)

    return asyncio.run(main())


async def opened(writing):
    writing.open()
    while writing._is_writing:
        await asyncio.sleep(0.01)


def test_what_comes_at_the_same_moment_is_one_statement(db, monkeypatch):
    batches = []
    rows = actions.new_rows
    monkeypatch.setattr(actions, "new_rows", lambda deliveries: batches.append(len(deliveries)) or rows(deliveries))

    with thread_of_the_test() as thread:
        receipts = store_all(range(20), thread)

    assert batches == [20]
    assert [receipt.event_id for receipt in receipts] == [f"evt_{number}" for number in range(20)]
    assert WebhookEvent.objects.count() == 20


def test_a_batch_has_a_bound(db, monkeypatch):
    monkeypatch.setattr(writer, "MOST_TOGETHER", 3)
    monkeypatch.setattr(writer, "MOST_BYTES_TOGETHER", 1)
    batches = []
    rows = actions.new_rows
    monkeypatch.setattr(actions, "new_rows", lambda deliveries: batches.append(len(deliveries)) or rows(deliveries))

    with thread_of_the_test() as thread:
        store_all(range(4), thread)

    assert batches == [1, 1, 1, 1]


def test_one_that_the_database_does_not_take_fails_alone(db, evt_2_refused):
    with thread_of_the_test() as thread:
        outcomes = store_all(range(4), thread)

    assert [type(outcome).__name__ for outcome in outcomes] == ["Receipt", "Receipt", "DataError", "Receipt"]
    assert set(WebhookEvent.objects.values_list("external_id", flat=True)) == {"evt_0", "evt_1", "evt_3"}


def test_a_database_that_is_away_fails_all_and_is_asked_no_more_than_once(db, monkeypatch):
    asked = []

    def away(rows):
        asked.append(len(rows))
        raise OperationalError("away")

    monkeypatch.setattr(storing, "insert", away)

    with thread_of_the_test() as thread:
        outcomes = store_all(range(3), thread)

    assert asked == [3]
    assert {type(outcome) for outcome in outcomes} == {OperationalError}


@pytest.fixture
def own_thread():
    """One whose connection is its own, and commits."""
    thread = ThreadPoolExecutor(1)
    yield thread
    thread.submit(lambda: connection.close()).result()
    thread.shutdown()


def end_session_of(thread):
    def own_backend():
        connection.ensure_connection()
        return connection.connection.info.backend_pid

    with psycopg.connect(**address_of_the_tests()) as link:
        link.execute("SELECT pg_terminate_backend(%s, 5000)", [thread.submit(own_backend).result()])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_opened", [False, True])
def test_a_connection_that_died_meanwhile_is_replaced_and_nobody_notices(own_thread, is_opened):
    if is_opened:
        [receipt] = store([delivery(1)], own_thread, meanwhile=lambda: end_session_of(own_thread))
    else:
        end_session_of(own_thread)
        [receipt] = store([delivery(1)], own_thread)

    assert receipt == actions.Receipt("evt_1", True)


@pytest.mark.postgres
def test_once_it_is_connected_no_thread_has_to_do_with_new_events(db, monkeypatch):
    with thread_of_the_test() as thread:
        receipts = store([delivery(1), delivery(2)], thread, lambda: monkeypatch.setattr(thread, "submit", None))

    assert receipts == [actions.Receipt("evt_1", True), actions.Receipt("evt_2", True)]
    assert WebhookEvent.objects.count() == 2


def test_new_ones_repeats_and_what_is_no_event_may_come_together(db):
    unreadable = Delivery.of(b"no event", headers={})
    with thread_of_the_test() as thread:
        store_all([1], thread)
        receipts = store([delivery(1), delivery(2), unreadable, delivery(2)], thread, meanwhile=lambda: None)

    assert [receipt.is_new for receipt in receipts] == [False, True, True, False]
    assert WebhookEvent.objects.filter(status="quarantined").count() == 1
    assert [WebhookEvent.objects.get(external_id=f"evt_{number}").repeats.count() for number in (1, 2)] == [1, 1]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_that_the_database_refuses_fails_alone_on_the_loop_too(own_thread):
    too_long = delivery(3)
    too_long = too_long._replace(envelope=too_long.envelope._replace(object_id="x" * 300))

    outcomes = store([delivery(1), too_long, delivery(2)], own_thread, meanwhile=lambda: None)

    assert [isinstance(outcome, actions.Receipt) for outcome in outcomes] == [True, False, True]
    assert set(WebhookEvent.objects.values_list("external_id", flat=True)) == {"evt_1", "evt_2"}


def test_what_goes_wrong_in_the_thread_reaches_whoever_waits_and_the_next_are_written(db, monkeypatch):
    def broken(*_):
        raise RuntimeError("nobody thought of it")

    async def main(thread):
        writing, told = Writer(thread), []
        monkeypatch.setattr(writer, "loop_statement", broken)
        for number in (1, 2):
            outcome = asyncio.get_running_loop().create_future()
            writing.store(delivery(number), Context(), outcome.set_result)
            told.append(type(await asyncio.wait_for(outcome, 5)))
            monkeypatch.undo()
        return told

    with thread_of_the_test() as thread:
        assert asyncio.run(main(thread)) == [RuntimeError, actions.Receipt]


def test_the_end_of_the_service_waits_for_what_is_being_written(db):
    with thread_of_the_test() as thread:
        door = Door(WSGIHandler(), writing=thread, serving=thread)
        told = []
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        closed = []
        door.close = lambda: closed.append(True)

        async def receive():
            return messages.pop(0)

        async def send(message):
            told.append((message["type"], bool(closed)))

        asyncio.run(door({"type": "lifespan"}, receive, send))

    assert told == [("lifespan.startup.complete", False), ("lifespan.shutdown.complete", True)]
