"""Checks of dependencies, by using them. A check raises if the dependency does not work, and returns a short description.

``/health/ready`` runs the cheap ones (``saas.operations.readiness``); ``manage.py doctor`` runs all.
"""

import secrets
import stat
from collections.abc import Callable
from datetime import timedelta
from functools import cache as cached
from functools import partial
from pathlib import Path
from time import monotonic

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from django.db import DatabaseError, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from kombu import Connection, Exchange, Queue

from saas.database.replica import REPLICA
from saas.operations.invariants import find_violations, registered_invariants
from saas.operations.models import Heartbeat, WorkerProcess
from saas.workers.due_work import is_work_due

Check = Callable[[], str]

HEARTBEAT_MAX_AGE = timedelta(seconds=25)
SILENCE_MAX_AGE = timedelta(minutes=1)
BROKER_TIMEOUT_SECONDS = 0.5
ROUND_TRIP_TIMEOUT_SECONDS = 3.0
MINIMUM_SECRET_BYTES = 32
MAX_SKEW_SECONDS = 2.0


_REQUIRE_WRITABLE = """
DO $$ BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION 'this server takes no writes' USING ERRCODE = 'read_only_sql_transaction';
    END IF;
END $$
"""


def database() -> str:
    """The database answers and accepts writes: it is no standby and no demoted primary."""
    with connection.cursor() as cursor:
        # The server raises the same error as for a write, which invalidates the pool (saas.database.postgres).
        cursor.execute(_REQUIRE_WRITABLE if connection.vendor == "postgresql" else "SELECT 1")
    return str(connection.vendor)


def replica() -> str:
    """The replica answers. Without it the lists, statistics and exports of staff are 503."""
    with connections[REPLICA].cursor() as cursor:
        cursor.execute("SELECT 1")
    return "answers"


def migrations() -> str:
    """All migrations of this version are applied."""
    if pending := _migrations_of_this_version() - set(MigrationRecorder(connection).applied_migrations()):
        raise DatabaseError(f"{len(pending)} pending: run manage.py migrate")
    return "none pending"


@cached
def _migrations_of_this_version() -> set[tuple[str, str]]:
    """Return the migrations on disk, read once: the code of a process does not change."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return set(loader.disk_migrations)


def cache() -> str:
    """The cache of the rate limits answers."""
    caches["limits"].get("ready")
    return "answers"


def broker() -> str:
    """The broker accepts a connection."""
    with _broker() as link:
        link.ensure_connection(max_retries=1, interval_start=0)
    return "connected"


def broker_round_trip() -> str:
    """A message comes back through a temporary queue."""
    name = f"round-trip-{secrets.token_hex(8)}"
    # The default exchange needs no binding, which would remain.
    queue = Queue(name, Exchange(""), name, durable=False, auto_delete=True)
    started = monotonic()
    with _broker() as link, link.SimpleQueue(queue) as simple:  # type: ignore[arg-type]
        simple.put(name)
        message = simple.get(timeout=ROUND_TRIP_TIMEOUT_SECONDS)
        message.ack()
        simple.consumer.cancel()  # else RabbitMQ reports the deletion of its queue as an error
        simple.queue.delete()
    return f"a message went round in {(monotonic() - started) * 1000:.0f} ms"


def _broker() -> Connection:
    return Connection(
        settings.CELERY_BROKER_URL,
        transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        connect_timeout=BROKER_TIMEOUT_SECONDS,
        ssl=settings.CELERY_BROKER_USE_SSL,
    )


def clock() -> str:
    """The clocks of this machine and of the database agree: both write times that are compared."""
    if connection.vendor != "postgresql":
        return "the database is on this machine"
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    skew = (theirs - before).total_seconds()
    if abs(skew) > MAX_SKEW_SECONDS:
        raise RuntimeError(
            f"the database's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
        )
    return f"{abs(skew):.2f} s apart"


def proxies() -> str:
    """In production a trusted proxy is configured."""
    count, networks = settings.TRUSTED_PROXY_COUNT, settings.TRUSTED_PROXY_CIDRS
    if settings.PRODUCTION and not count:
        raise ImproperlyConfigured("TRUSTED_PROXY_COUNT is 0: all callers would share the proxy's address")
    return f"{count} trusted, from {', '.join(networks)}" if count else "none"


def business_invariants() -> str:
    """No stored row violates an invariant."""
    if found := [str(violation) for violation in find_violations()]:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise RuntimeError(f"{found[0]}{more}")
    return f"{len(registered_invariants())} invariants hold"


def _heartbeat(name: str) -> str:
    age = Heartbeat.objects.age(name, timezone.now())
    if age is None:
        raise RuntimeError(f"{name} has never recorded a heartbeat")
    seen = f"last heartbeat {age.total_seconds():.0f} s ago"
    if age > HEARTBEAT_MAX_AGE:
        raise RuntimeError(seen)
    return seen


def worker() -> str:
    """A worker has recorded a heartbeat, and no worker process is unresponsive while work is due."""
    seen = _heartbeat("worker")
    silent = WorkerProcess.objects.unresponsive(SILENCE_MAX_AGE)
    names = sorted(silent.values_list("name", flat=True))
    if names and is_work_due():
        raise RuntimeError(f"work is due, and for a minute nothing was done by {', '.join(names)}")
    return seen


beat: Check = partial(_heartbeat, "beat")


def mail() -> str:
    """The mail server accepts a connection. A backend without a server can be instantiated."""
    backend = get_connection()
    if backend.open():
        backend.close()
    return str(settings.EMAIL_BACKEND.split(".")[-2])


def secrets_protection() -> str:
    """Each secret is long and differs from the others, and no other user of this machine can read generated ones."""
    values = [settings.SECRET_KEY, settings.AUTH_PEPPER, settings.SESSION_SECRET]
    if len(set(values)) < len(values) or min(len(value.encode()) for value in values) < MINIMUM_SECRET_BYTES:
        raise ImproperlyConfigured("two are the same, or one is too short")
    if settings.DEVELOPMENT_SECRETS is None:
        return "from the environment"
    files = Path(settings.DEVELOPMENT_SECRETS).glob("*")
    if exposed := [file.name for file in files if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]:
        raise ImproperlyConfigured(f"other accounts of this machine can read {', '.join(sorted(exposed))}")
    return f"development, in {settings.DEVELOPMENT_SECRETS}"
