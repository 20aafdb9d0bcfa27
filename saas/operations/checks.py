"""Does what we depend on work? A check that runs: it raises if it does not, and returns what it saw in a few words.

``/health/ready`` tells of the cheap ones (``saas.operations.readiness``); ``manage.py doctor`` asks all.
"""

import secrets
import stat
from collections.abc import Callable
from datetime import timedelta
from functools import cache as kept
from functools import partial
from pathlib import Path
from time import monotonic

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from kombu import Connection, Exchange, Queue

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


_WRITABLE = """
DO $$ BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION 'this server takes no writes' USING ERRCODE = 'read_only_sql_transaction';
    END IF;
END $$
"""


def database() -> str:
    """The database answers a question, and is not one that only reads: a standby, or a primary that was stood down."""
    with connection.cursor() as cursor:
        # Raised by the server, as it is for a write: then the pool looks for another server (saas.database.postgres).
        cursor.execute(_WRITABLE if connection.vendor == "postgresql" else "SELECT 1")
    return str(connection.vendor)


def migrations() -> str:
    """The tables are as this version wants them."""
    if pending := _migrations_of_this_version() - set(MigrationRecorder(connection).applied_migrations()):
        raise DatabaseError(f"{len(pending)} pending: run manage.py migrate")
    return "none pending"


@kept
def _migrations_of_this_version() -> set[tuple[str, str]]:
    """Read from disk once: a process's code does not change, and this is asked again and again."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return set(loader.disk_migrations)


def cache() -> str:
    """The counter of the rate limits answers."""
    caches["limits"].get("ready")
    return "answers"


def broker() -> str:
    """The broker lets us in."""
    with _broker() as link:
        link.ensure_connection(max_retries=1, interval_start=0)
    return "connected"


def broker_round_trip() -> str:
    """A message that we send comes back, through a queue of its own that is gone afterwards."""
    name = f"round-trip-{secrets.token_hex(8)}"
    # On the default exchange, which needs no binding that would stay behind.
    queue = Queue(name, Exchange(""), name, durable=False, auto_delete=True)
    started = monotonic()
    with _broker() as link, link.SimpleQueue(queue) as simple:  # type: ignore[arg-type]
        simple.put(name)
        message = simple.get(timeout=ROUND_TRIP_TIMEOUT_SECONDS)
        message.ack()
        simple.consumer.cancel()  # RabbitMQ tells a consumer whose queue is deleted, as an error
        simple.queue.delete()
    return f"a message went round in {(monotonic() - started) * 1000:.0f} ms"


def _broker() -> Connection:
    return Connection(
        settings.CELERY_BROKER_URL,
        transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        connect_timeout=BROKER_TIMEOUT_SECONDS,
    )


def clock() -> str:
    """This machine and the database, whose clocks both write moments that are compared, agree."""
    if connection.vendor != "postgresql":
        return "the database is on this machine"
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    skew = (theirs - before).total_seconds()
    if abs(skew) > MAX_SKEW_SECONDS:
        raise RuntimeError(f"the database's clock is {skew:.1f} s ahead of this machine's")
    return f"{abs(skew):.2f} s apart"


def proxies() -> str:
    """Production stands behind a proxy, and knows whom to believe about addresses."""
    count, networks = settings.TRUSTED_PROXY_COUNT, settings.TRUSTED_PROXY_CIDRS
    if settings.PRODUCTION and not count:
        raise ImproperlyConfigured("TRUSTED_PROXY_COUNT is 0: all callers would share the proxy's address")
    return f"{count} trusted, from {', '.join(networks)}" if count else "none"


def business_invariants() -> str:
    """Nothing that must always be true of the stored rows is broken."""
    if found := [str(violation) for violation in find_violations()]:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise RuntimeError(f"{found[0]}{more}")
    return f"{len(registered_invariants())} invariants hold"


def _heartbeat(name: str) -> str:
    age = Heartbeat.objects.age(name, timezone.now())
    if age is None:
        raise RuntimeError(f"{name} has never shown a sign of life")
    seen = f"last sign of life {age.total_seconds():.0f} s ago"
    if age > HEARTBEAT_MAX_AGE:
        raise RuntimeError(seen)
    return seen


def worker() -> str:
    """Somebody sweeps, and no process of a worker does nothing while there is work."""
    seen = _heartbeat("worker")
    silent = WorkerProcess.objects.unresponsive(SILENCE_MAX_AGE)
    names = sorted(silent.values_list("name", flat=True))
    if names and is_work_due():
        raise RuntimeError(f"work is due, and for a minute nothing was done by {', '.join(names)}")
    return seen


beat: Check = partial(_heartbeat, "beat")


def mail() -> str:
    """The mail server lets us in; a backend without a server can be made."""
    backend = get_connection()
    if backend.open():
        backend.close()
    return str(settings.EMAIL_BACKEND.split(".")[-2])


def secrets_protection() -> str:
    """Each secret is long and its own, and no other account of this machine can read those that we generated."""
    values = [settings.SECRET_KEY, settings.AUTH_PEPPER, settings.SESSION_SECRET]
    if len(set(values)) < len(values) or min(len(value.encode()) for value in values) < MINIMUM_SECRET_BYTES:
        raise ImproperlyConfigured("two are the same, or one is too short")
    if settings.DEVELOPMENT_SECRETS is None:
        return "from the environment"
    if exposed := [path.name for path in Path(settings.DEVELOPMENT_SECRETS).glob("*") if _others_may_read(path)]:
        raise ImproperlyConfigured(f"other accounts of this machine can read {', '.join(sorted(exposed))}")
    return f"development, in {settings.DEVELOPMENT_SECRETS}"


def _others_may_read(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
