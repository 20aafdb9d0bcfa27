"""What ``manage.py`` writes: to a terminal of another encoding, to a reader that has gone, and when it is interrupted."""

import errno
import io
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

from saas.server import bootstrap

pytestmark = pytest.mark.slow

PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def test_what_a_terminal_cannot_show_is_replaced_and_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))

    bootstrap.allow_every_character()
    sys.stdout.write("✓ Zoë\n")
    sys.stdout.flush()

    assert written.getvalue() == "? Zoë\n".encode("latin-1")


def test_a_reader_that_has_gone_ends_a_command_without_a_word() -> None:
    with subprocess.Popen([sys.executable, "manage.py", "settings_table"], cwd=settings.BASE_DIR, **PIPES) as command:
        assert command.stdout
        assert command.stderr
        command.stdout.close()

        assert (command.wait(60), command.stderr.read()) == (1, "")


def test_ctrl_c_ends_a_command_without_a_traceback() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"

    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-c", code], cwd=settings.BASE_DIR, check=False, **PIPES
    )

    assert (done.returncode, "Traceback" in done.stderr) == (130, False)


def test_another_reader_that_has_gone_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    with pytest.raises(BrokenPipeError):
        bootstrap.exit_for(BrokenPipeError(errno.EPIPE, "Broken pipe"))
