"""Which port ``runserver`` takes."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from saas.management.commands.runserver import Command


class Chosen(Command):
    """Stops where the server would begin to listen."""

    def run(self, **options: Any) -> None:
        self.on_bind(int(self.port))


@pytest.mark.parametrize(
    ("service", "port"), [("product", 8000), ("admin_ops", 8001), ("parity", 8002), ("webhooks", 8003)]
)
def test_a_service_takes_its_own_port(settings: Any, service: str, port: int) -> None:
    settings.SERVICE = service

    assert listen() == f"{service} listens on http://127.0.0.1:{port}/ (Ctrl-C stops it)\n"


@pytest.mark.parametrize(
    ("given", "shown"), [("9000", "127.0.0.1:9000"), ("0.0.0.0:9000", "0.0.0.0:9000"), ("[::1]:9000", "[::1]:9000")]
)
def test_a_port_that_is_given_wins(given: str, shown: str) -> None:
    assert listen(given) == f"product listens on http://{shown}/ (Ctrl-C stops it)\n"


def listen(*arguments: str) -> str:
    out = StringIO()
    call_command(Chosen(), *arguments, stdout=out)
    return out.getvalue()
