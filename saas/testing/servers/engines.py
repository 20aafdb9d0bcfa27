"""Private PostgreSQL and Redis servers, which a test may kill, freeze and flush."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any, LiteralString, Self

import psycopg
import redis
from django.db import connection

from saas.testing.servers.stack import eventually

START_SECONDS = 60.0


def missing_engines() -> str:
    """Return which engine is not installed, as a sentence; empty if both are."""
    missing = [name for name, there in (("PostgreSQL", _postgres_bin()), ("Redis", _redis_server())) if not there]
    return f"not installed here: {' and '.join(missing)}" if missing else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def child_pids(pid: int) -> list[int]:
    """Return the ids of the processes that ``pid`` has started. Linux only."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return sorted(found)


def connection_parameters() -> dict[str, Any]:
    """Return psycopg's parameters for another connection to the database of the running tests."""
    known = connection.get_connection_params()
    return {name: known[name] for name in ("dbname", "user", "password", "host", "port") if name in known}


class PrivatePostgres:
    """A cluster in a temporary folder. ``is_durable``: with fsync, as by default."""

    def __init__(self, *, is_durable: bool = True, max_connections: int = 200) -> None:
        self.options = f"-c fsync={'on' if is_durable else 'off'} -c max_connections={max_connections}"
        self.folder = Path(tempfile.mkdtemp(prefix="saas-postgres-"))
        self.port = free_port()
        self._bin = _postgres_bin()

    def __enter__(self) -> Self:
        self.folder.chmod(0o711)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._fill(self.make_folder("data"))
        self.start()
        return self

    def _fill(self, data: Path) -> None:
        self._run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} {self.options}"
        )
        self._control("-w", "-t", "60", "-l", str(self.folder / "log"), "-o", options, "start")
        eventually(self._answers, START_SECONDS)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server. ``immediate`` is a crash: the next start recovers from the log."""
        with suppress(subprocess.CalledProcessError):
            self._control("-w", "-m", mode, "stop")

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def configure(self, settings: str) -> None:
        """Add lines to ``postgresql.conf``; they apply from the next start."""
        with (self.folder / "data/postgresql.conf").open("a") as file:
            file.write(settings)

    def require_passwords(self) -> None:
        """From everybody but the superuser, as a server in production does."""
        file = self.folder / "data/pg_hba.conf"
        file.write_text("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        self._control("reload")

    def make_folder(self, name: str) -> Path:
        """Make a folder that the server may write to."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        return folder

    def recover_from(self, base_backup: Path) -> None:
        """Put a base backup in the place of the data; with the next start the server recovers as ``configure`` said."""
        shutil.rmtree(self.folder / "data")
        base_backup.rename(self.folder / "data")
        (self.folder / "data/recovery.signal").touch()

    def connect(self, database: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.url(database), autocommit=True)

    def fetch_value(self, database: str, query: LiteralString) -> Any:
        """Return the one value that ``query`` finds."""
        with self.connect(database) as link:
            row = link.execute(query).fetchone()
        return row[0] if row else None

    def terminate_other_sessions(self, database: str, *, but: "psycopg.Connection[Any] | None" = None) -> int:
        """Terminate every session but ``but``, and wait until they are gone; return how many there were."""
        kept = but.info.backend_pid if but else 0
        with self.connect(database) as link:
            killed = link.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE datname = %s AND pid NOT IN (pg_backend_pid(), %s)",
                [database, kept],
            ).fetchone()
        return int(killed[0]) if killed else 0

    def crash(self) -> None:
        """Kill one of its processes: the server ends every session, and recovers."""
        with self.connect("postgres") as link:
            os.kill(link.info.backend_pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop all processes: the kernel accepts connections, and no query is answered, as on a hanging disk."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def exhaust_connections(self, database: str) -> "list[psycopg.Connection[Any]]":
        """Open sessions until PostgreSQL accepts no more, and return them."""
        sessions = []
        with suppress(psycopg.OperationalError):
            while True:
                sessions.append(self.connect(database))
        return sessions

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2) as link:
                return link.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def run_client(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's client programs against this server."""
        self._run(program, *arguments, "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")

    def _run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, str(self._bin / program), *arguments] if self._bin else []
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class PrivateReplica(PrivatePostgres):
    """A streaming replica of ``primary``; while paused it applies nothing."""

    def __init__(self, primary: PrivatePostgres) -> None:
        super().__init__(is_durable=False)
        self.primary = primary

    def _fill(self, data: Path) -> None:
        self.primary.run_client("pg_basebackup", "-D", str(data), "-R", "--checkpoint=fast")

    def pause(self) -> None:
        self.fetch_value("postgres", "SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        self.fetch_value("postgres", "SELECT pg_wal_replay_resume()")


class PrivateServer(ABC):
    """A server on a free port, in a temporary folder."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix=f"{type(self).__name__.lower()}-")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def kill(self) -> None: ...


class PrivateRedis(PrivateServer):
    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> "redis.Redis":
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        if self.process is None:
            command = [_redis_server() or "", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
            self.process = subprocess.Popen([*command, "--dir", self.folder], stdout=subprocess.DEVNULL)
            eventually(self._answers, START_SECONDS)

    def kill(self) -> None:
        """Kill the server; its data is lost."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop the process: connections are accepted, and no command is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.process:
            self.process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


def _postgres_bin() -> Path | None:
    def version(folder: Path) -> float:
        return float(folder.parent.name)

    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if installed:
        return max(installed, key=version)
    found = shutil.which("initdb")
    return Path(found).parent if found else None


def _redis_server() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")
