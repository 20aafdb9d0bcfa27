"""What leaves the fast door's sockets, and when."""

import asyncio

from webhooks.door.protocol import GatheringTransport


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
