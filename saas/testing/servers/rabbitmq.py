"""A RabbitMQ of the test's own, to be killed and started again: never one that others use."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from kombu import Connection
from kombu.exceptions import OperationalError

from saas.testing.servers.engines import START_SECONDS, PrivateServer, free_port
from saas.testing.servers.stack import eventually

_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the script on the path insists on a user and a folder


def missing_rabbitmq() -> str:
    """Return why it cannot be used, as a sentence; empty if it is installed."""
    return "" if _program() else "not installed here: RabbitMQ"


class PrivateRabbitMQ(PrivateServer):
    """Queues survive ``kill`` and the next ``start``."""

    def url(self, port: int | None = None) -> str:
        return f"amqp://guest:guest@127.0.0.1:{port or self.port}//"

    def start(self) -> None:
        settings = {
            "HOME": self.folder,
            "RABBITMQ_NODENAME": f"saas-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": self.folder,
            "RABBITMQ_LOG_BASE": self.folder,
            "RABBITMQ_PID_FILE": str(self._pid_file),
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/plugins",
        }
        self.process = subprocess.Popen(
            [_program() or ""],
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(self._answers, START_SECONDS)

    def kill(self) -> None:
        if self.process:
            os.kill(int(self._pid_file.read_text()), signal.SIGKILL)  # the script that started it ends, too
            self.process.wait()
            self._pid_file.unlink()
            self.process = None

    @property
    def _pid_file(self) -> Path:
        return Path(self.folder, "pid")

    def _answers(self) -> bool:
        try:
            with Connection(self.url(), connect_timeout=2) as link:
                link.ensure_connection(max_retries=1, interval_start=0)
        except OperationalError:
            return False
        return True


def _program() -> str | None:
    return str(_DEBIAN) if _DEBIAN.exists() else shutil.which("rabbitmq-server")
