"""The embedded broker, with writers and a reader at once."""

from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.simple import SimpleQueue

from saas.settings.engines import broker_options
from saas.workers import file_broker
from saas.workers.file_broker import Transport

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


def test_a_message_that_another_reader_has_just_taken_is_passed_over(tmp_path: Path, monkeypatch) -> None:
    taken_before = tmp_path / "broker" / "messages" / "0_taken.order.msg"
    monkeypatch.setattr(file_broker, "sorted", lambda paths: [taken_before, *sorted(paths)], raising=False)
    options = broker_options("filesystem://localhost", tmp_path)

    with Connection("filesystem://localhost", transport_options=options) as link, link.SimpleQueue(ORDER) as queue:
        queue.put("next")

        assert taken(queue) == "next"


def test_a_queue_whose_name_ends_like_anothers_keeps_its_messages(tmp_path: Path) -> None:
    options = broker_options("filesystem://localhost", tmp_path)
    longer = Queue("later.order", Exchange(""), "later.order")

    with (
        Connection("filesystem://localhost", transport_options=options) as link,
        link.SimpleQueue(longer) as other,
        link.SimpleQueue(ORDER) as queue,
    ):
        other.put("theirs")
        queue.put("ours")

        assert [taken(queue), taken(other)] == ["ours", "theirs"]


BROKEN = {"empty": b"", "cut off": b'{"body": "W10', "no message": b"[]", "no text": b"\xff\xfe\x00"}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_corrupt_message_is_quarantined_and_the_next_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    options = broker_options("filesystem://localhost", tmp_path)
    (tmp_path / "broker" / "messages" / "0_first.order.msg").write_bytes(text)

    with Connection("filesystem://localhost", transport_options=options) as link, link.SimpleQueue(ORDER) as queue:
        queue.put("second")

        assert taken(queue) == "second"
    assert [record.message for record in caplog.records if "broker" in record.message] == ["broker_file_broken"]
    assert [path.read_bytes() for path in tmp_path.rglob("*.broken-*")] == [text]


@pytest.mark.parametrize("text", [BROKEN["empty"], BROKEN["cut off"]], ids=["empty", "cut off"])
def test_the_same_files_end_a_reader_of_kombus_own(tmp_path: Path, text: bytes) -> None:
    options = broker_options("filesystem://localhost", tmp_path)
    (tmp_path / "broker" / "messages" / "0_first.order.msg").write_bytes(text)
    kombus = "kombu.transport.filesystem:Transport"

    with (
        Connection(transport=kombus, transport_options=options) as link,
        link.SimpleQueue(ORDER) as queue,
        pytest.raises(ValueError, match=r"Expecting value|Unterminated"),
    ):
        taken(queue)


@pytest.mark.parametrize("text", [b"", b"[[", b"null", b"[1]"])
def test_corrupt_bindings_are_quarantined_and_restored(tmp_path: Path, text: bytes) -> None:
    options = broker_options("filesystem://localhost", tmp_path)
    queue_of_ours = Queue("work", Exchange("works"), "work")
    bindings = tmp_path / "broker" / "control" / "works.exchange"

    with (
        Connection("filesystem://localhost", transport_options=options) as link,
        link.SimpleQueue(queue_of_ours) as queue,
    ):
        bindings.write_bytes(text)
        queue.put("found")

        assert taken(queue) == "found"
    assert [path.read_bytes() for path in tmp_path.rglob("works.exchange.broken-*")] == [text]


def test_broken_bindings_that_are_there_from_the_start_end_nobody(tmp_path: Path) -> None:
    options = broker_options("filesystem://localhost", tmp_path)
    (tmp_path / "broker" / "control" / "early.exchange").write_bytes(b"")
    early = Queue("early", Exchange("early"), "early")

    with Connection("filesystem://localhost", transport_options=options) as link, link.SimpleQueue(early) as queue:
        queue.put("found")

        assert taken(queue) == "found"
