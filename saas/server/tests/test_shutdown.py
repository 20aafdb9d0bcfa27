"""How a server ends: after a while in which it still answers, or at once."""

import signal
from types import SimpleNamespace

import pytest

from saas.operations import draining
from saas.server import serve
from saas.server.serve import ShutdownHandler
from saas.server.shared_state import SharedState


@pytest.fixture
def send_signals(monkeypatch, tmp_path):
    """Sends signals to the handler of a server; returns how often it was stopped after each, and whether it drains."""
    monkeypatch.setattr(draining, "_flag", bytearray(1))
    shared, stopped = SharedState(tmp_path), []
    server = SimpleNamespace(signal_handler_interrupt=lambda: stopped.append(True))

    def send_signals(*signals, drain_seconds=60.0, has_failed=False):
        if has_failed:
            shared.record_failed_boot()
        handler, after_each = ShutdownHandler(server, shared, drain_seconds), []
        for number in signals:
            handler(number, None)
            after_each.append(len(stopped))
        return after_each, draining.is_draining()

    return send_signals


@pytest.mark.parametrize(
    ("signals", "options", "expected"),
    [
        ([signal.SIGTERM], {}, ([0], True)),
        ([signal.SIGHUP], {}, ([0], True)),
        ([signal.SIGTERM, signal.SIGTERM], {}, ([0, 1], True)),
        ([signal.SIGINT], {}, ([1], False)),
        ([signal.SIGTERM], {"drain_seconds": 0.0}, ([1], False)),
        ([signal.SIGTERM], {"has_failed": True}, ([1], False)),
    ],
)
def test_a_server_drains_first_unless_there_is_no_time_or_no_use(send_signals, signals, options, expected):
    assert send_signals(*signals, **options) == expected


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("2.5", 2.5), ("3600", 3600.0), ("", 5.0)])
def test_the_time_of_draining_is_a_number_of_seconds(monkeypatch, text, seconds):
    monkeypatch.setenv("DRAIN_SECONDS", text)

    assert serve._seconds("DRAIN_SECONDS", "5") == seconds


@pytest.mark.parametrize("text", ["-1", "3600.1", "nan", "soon"])
def test_another_time_of_draining_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("DRAIN_SECONDS", text)

    with pytest.raises(SystemExit, match="DRAIN_SECONDS"):
        serve._seconds("DRAIN_SECONDS", "5")
