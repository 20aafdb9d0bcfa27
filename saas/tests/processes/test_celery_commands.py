"""``manage.py worker`` and ``manage.py beat`` become Celery's own programs; no environment need be active."""

import os
import sys
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command, execute_from_command_line


class Became(Exception):
    """This process has become another."""


@pytest.fixture(autouse=True)
def _exec(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(python: str, command: list[str]) -> None:
        raise Became(python, command)

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", os.environ["DJANGO_SETTINGS_MODULE"])
    monkeypatch.setenv("PYTHONPATH", "")


def became(*arguments: str) -> Any:
    with pytest.raises(Became) as became:
        execute_from_command_line(["manage.py", *arguments])
    return became.value.args


@pytest.mark.parametrize("program", ["worker", "beat"])
def test_they_run_celery_on_this_python_with_the_settings_of_webhooks(program: str) -> None:
    python, command = became(program)

    assert python == sys.executable
    assert command[1:] == ["-m", "celery", "-A", "saas", f"--workdir={settings.BASE_DIR}", program, "--loglevel=INFO"]
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "saas.settings.webhooks"


def test_all_options_are_celerys_own() -> None:
    _, command = became("worker", "--concurrency=4", "-l", "WARNING", "-Q", "celery")

    assert command[-6:] == ["worker", "--concurrency=4", "-l", "WARNING", "-Q", "celery"]


def test_call_command_runs_them_too() -> None:
    with pytest.raises(Became):
        call_command("beat")
