"""What leaves the fast door's sockets, and when."""

import asyncio
import threading
from unittest.mock import patch

import pytest
from django.core.handlers.wsgi import WSGIHandler

from saas.testing.clients import acting_as
from saas.testing.doors import answer_from, on_the_wire, thread_of_the_test
from saas.testing.inbox import encoded, event, signed
from saas.webhook_events import actions
from saas.webhook_events.models import WebhookEvent
from webhooks.door.door import Door
from webhooks.door.protocol import GatheringTransport, Protocol


class Wire:
    """Notes what is sent."""

    def __init__(self):
        self.sent = []

    def write(self, data):
        self.sent.append(data)

    def close(self):
        self.sent.append("closed")

    def is_closing(self):
        return "closed" in self.sent


def play(scene):
    """What was sent when ``scene`` was over, and a turn of the loop later."""
    wire = Wire()

    async def main():
        scene(GatheringTransport(wire))
        at_once = [*wire.sent]
        await asyncio.sleep(0)
        return at_once, wire.sent

    return asyncio.run(main())


def test_head_and_body_of_an_answer_are_one_packet():
    assert play(lambda transport: [transport.write(b"head "), transport.write(b"body")]) == ([], [b"head body"])


def test_an_answer_without_a_body_does_not_wait_for_one():
    assert play(lambda transport: transport.write(b"head")) == ([], [b"head"])


def test_what_was_written_is_sent_before_the_end():
    now, later = play(lambda transport: [transport.write(b"the last"), transport.close()])

    assert now == later == [b"the last", "closed"]


def test_whatever_else_is_asked_the_socket_answers():
    def scene(transport):
        assert not transport.is_closing()
        transport.close()
        assert transport.is_closing()

    play(scene)


# ── The short way ────────────────────────────────────────────────────────────────────────────────────────────────────


class CountingDoor(Door):
    """Notes which requests came uvicorn's way."""

    def __init__(self, thread):
        super().__init__(WSGIHandler(), writing=thread, serving=thread)
        self.came_the_ordinary_way = []

    async def __call__(self, scope, receive, send):
        self.came_the_ordinary_way.append(scope["method"])
        await super().__call__(scope, receive, send)


@pytest.fixture
def door(db):
    with thread_of_the_test() as thread, acting_as("webhooks"):
        yield CountingDoor(thread)


def delivery(number, **headers):
    body = encoded(event(f"evt_{number}"))
    sent = {"Host": "localhost", "Content-Length": str(len(body)), **signed(body), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"POST /api/webhooks/stripe HTTP/1.1\r\n{lines}\r\n".encode() + body


def converse(door, *packets, answers):
    """What is answered to packets that arrive one after the other on one connection."""

    async def main():
        async with on_the_wire(door) as (reader, writer):
            for packet in packets:
                writer.write(packet)
                await asyncio.sleep(0.1)
            return [await answer_from(reader) for _ in range(answers)], reader.at_eof()

    return asyncio.run(main())


def statuses(answers):
    return [start["status"] for start, _ in answers]


def stored():
    return set(WebhookEvent.objects.values_list("external_id", flat=True))


def test_a_delivery_that_came_whole_takes_the_short_way(door):
    answers, is_closed = converse(door, delivery(1), delivery(2), answers=2)

    assert statuses(answers) == [202, 202]
    assert door.came_the_ordinary_way == []
    assert not is_closed
    assert {b"date", b"x-request-id", b"content-type"} < dict(answers[0][0]["headers"]).keys()


def test_one_that_comes_in_pieces_takes_the_ordinary_one(door):
    whole = delivery(1)

    answers, _ = converse(door, whole[:-10], whole[-10:], delivery(2), answers=2)

    assert (statuses(answers), door.came_the_ordinary_way) == ([202, 202], ["POST"])
    assert stored() == {"evt_1", "evt_2"}


def test_requests_in_one_packet_are_answered_in_their_order(door):
    health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

    answers, _ = converse(door, delivery(1) + health + delivery(2), answers=3)

    assert statuses(answers) == [202, 200, 202]
    assert [b"evt_1" in answers[0][1]["body"], b"evt_2" in answers[2][1]["body"]] == [True, True]


def test_a_forged_one_is_refused_the_ordinary_way_and_the_next_is_taken(door):
    forged = delivery(1, **{"Stripe-Signature": "t=1,v1=00"})

    answers, _ = converse(door, forged, delivery(2), answers=2)

    assert (statuses(answers), door.came_the_ordinary_way) == ([400, 202], ["POST"])
    assert stored() == {"evt_2"}


def test_whoever_wants_to_go_afterwards_may(door):
    answers, is_closed = converse(door, delivery(1, Connection="close"), answers=1)

    assert (statuses(answers), is_closed) == ([202], True)


def held_up(door, meanwhile):
    """Whatever happens to a connection while its delivery is being written: its answer, if there is one."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()
    receive = actions.receive

    def slow(deliveries):
        begun.set()
        may_end.wait(5)
        try:
            return receive(deliveries)
        finally:
            ended.set()

    async def main():
        async with on_the_wire(door) as (reader, writer):
            writer.write(delivery(1))
            await asyncio.to_thread(begun.wait, 5)
            await meanwhile(writer)
            may_end.set()
            await asyncio.to_thread(ended.wait, 5)
            await asyncio.sleep(0.05)  # until whoever waits is told
            return b"" if writer.is_closing() else await reader.read()

    with patch.object(actions, "receive", slow):
        return asyncio.run(main())


def test_the_end_of_the_service_waits_for_its_answer(door, monkeypatch):
    connections = []
    connected = Protocol.connection_made
    monkeypatch.setattr(Protocol, "connection_made", lambda self, t: connections.append(self) or connected(self, t))

    async def end(writer):
        connections[0].shutdown()

    answer = held_up(door, end)

    assert answer.startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert b"\r\nconnection: close\r\n" in answer


def test_whoever_has_gone_has_still_delivered(door, monkeypatch):
    written = []
    monkeypatch.setattr(GatheringTransport, "write", lambda self, data: written.append(data))

    async def go(writer):
        writer.transport.abort()
        await asyncio.sleep(0.1)

    assert held_up(door, go) == b""
    assert stored() == {"evt_1"}
    assert written == []
