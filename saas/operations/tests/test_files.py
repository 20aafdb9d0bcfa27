"""The embedded broker, with writers and a reader at once."""

from pathlib import Path
from threading import Thread
from typing import Any

from kombu import Connection, Exchange, Queue
from kombu.simple import SimpleQueue

from saas.operations.files import Transport
from saas.settings.engines import broker_options

WRITERS = 4
EACH = 150
RACE, ORDER = (Queue(name, Exchange(""), name) for name in ("race", "order"))  # as Celery sends


def test_no_message_is_seen_before_it_is_whole_and_none_is_lost(tmp_path: Path) -> None:
    options = broker_options("filesystem://localhost", tmp_path)
    writers = [Thread(target=write, args=[options, writer]) for writer in range(WRITERS)]
    for writer in writers:
        writer.start()

    with Connection("filesystem://localhost", transport_options=options) as link, link.SimpleQueue(RACE) as queue:
        received = [taken(queue) for _ in range(WRITERS * EACH)]

        assert isinstance(link.transport, Transport)
    assert sorted(received) == sorted(f"{writer}:{number}" for writer in range(WRITERS) for number in range(EACH))


def write(options: dict[str, Any], writer: int) -> None:
    with Connection("filesystem://localhost", transport_options=options) as link, link.SimpleQueue(RACE) as queue:
        for number in range(EACH):
            queue.put(f"{writer}:{number}")


def taken(queue: SimpleQueue) -> Any:
    message = queue.get(timeout=20)
    message.ack()
    return message.payload


def test_messages_come_out_in_the_order_they_went_in(tmp_path: Path) -> None:
    options = broker_options("filesystem://localhost", tmp_path)

    with Connection("filesystem://localhost", transport_options=options) as link, link.SimpleQueue(ORDER) as queue:
        for number in range(20):
            queue.put(number)

        assert [taken(queue) for _ in range(20)] == list(range(20))
