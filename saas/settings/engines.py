"""Build the settings of database, caches, broker and mail transport from their URLs, with time limits."""

import re
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote

import dj_database_url
from kombu.transport import TRANSPORT_ALIASES
from psycopg.pq import Conninfo
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError
from redis.retry import Retry

from saas import env
from saas.database.postgres import PREPARE_ON_DEMAND, connection_class_with_timeout

RECONNECT_SECONDS = 5.0
ANSWER_MARGIN_SECONDS = 2.0  # how much longer than the server's own limit a client waits
DEFAULT_ANSWER_SECONDS = 60.0  # where the server has no limit
REDIS_TIMEOUT_SECONDS = 0.25
BROKER_TIMEOUT_SECONDS = 0.5

# IMMEDIATE: Django's default DEFERRED fails a read-modify-write whose snapshot grew old (959 of 2500 when measured).
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000",
}
# Balancers and NAT forget connections that are idle for some minutes, without a word: the next query would wait in vain.
KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 3}
IMPLICIT_TLS_PORT = 465
MAX_WORKER_CONCURRENCY = 8
_ENCODED = "a password's special characters are percent-encoded"


def replica_config(url: str, primary: dict[str, Any]) -> dict[str, Any]:
    """The ``DATABASES`` entry of a replica, with the time limits of ``primary``."""
    config = _postgres(url, "DATABASE_REPLICA_URL") or {}
    if "pool" not in primary["OPTIONS"]:
        env.note_fault("DATABASE_REPLICA_URL needs DATABASE_URL: it is a replica of that database.")
    return {**config, "OPTIONS": _merged(primary["OPTIONS"], config.get("OPTIONS", {})), "TEST": {"MIRROR": "default"}}


def database_config(
    url: str, var_dir: Path, *, pool_size: int, may_prepare: bool, statement_timeout_ms: int, is_service: bool
) -> dict[str, Any]:
    """Django's ``DATABASES`` entry: SQLite in ``var_dir`` for an empty ``url``, else PostgreSQL, pooled."""
    config = _postgres(url, "DATABASE_URL") if url else None
    if config is None:
        var_dir.mkdir(parents=True, exist_ok=True)
        file = var_dir / "db.sqlite3"
        file.touch(mode=0o600)  # SQLite gives the same permissions to the files beside it
        if file.stat().st_mode & 0o077:
            with suppress(PermissionError):  # another user's file
                file.chmod(0o600)
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "OPTIONS": SQLITE_OPTIONS}
    pool: dict[str, Any] = {
        "min_size": 1,
        "max_size": pool_size,
        # A service answers 503; background work waits longer for a busy database.
        "timeout": 1.0 if is_service else 10.0,
        "reconnect_timeout": RECONNECT_SECONDS,  # then the next caller reconnects, without a grown back-off
    }
    if statement_timeout_ms:
        pool["connection_class"] = connection_class_with_timeout(answer_timeout_seconds(statement_timeout_ms))
    ours = {
        "connect_timeout": 2,
        "tcp_user_timeout": 5000,
        **KEEPALIVES,
        "options": f"-c random_page_cost=1.1 -c statement_timeout={statement_timeout_ms} -c lock_timeout=1000 -c idle_in_transaction_session_timeout=10000",
        "pool": pool,
        "prepare_threshold": PREPARE_ON_DEMAND if may_prepare else None,
    }
    config["OPTIONS"] = _merged(ours, config.get("OPTIONS", {}))
    return config


def _merged(ours: dict[str, Any], of_url: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the URL come before ours; its ``options`` (``-c search_path=…``) are added to ours."""
    options = " ".join(filter(None, [ours.get("options"), of_url.get("options")]))
    return {**ours, **of_url, "options": options}


def answer_timeout_seconds(statement_timeout_ms: int) -> float:
    """Return how long a client waits for a statement that the server cancels after ``statement_timeout_ms``."""
    return statement_timeout_ms / 1000 + ANSWER_MARGIN_SECONDS if statement_timeout_ms else DEFAULT_ANSWER_SECONDS


def _postgres(url: str, name: str) -> dict[str, Any] | None:
    """Return None for a URL of another database, or a broken one, which is a fault."""
    parts, config = _server_url(url), None
    if parts and parts.scheme in {"postgres", "postgresql"}:
        with suppress(ValueError):  # its message may contain the password
            config = dict(dj_database_url.parse(url, conn_health_checks=True))  # pre-ping by the pool
    if config is None:
        env.note_fault(f"{name} must be postgres://user:password@host/name: {_ENCODED}; no other database is known.")
    elif not config.get("OPTIONS", {}).keys() <= {known.keyword.decode() for known in Conninfo.get_defaults()}:
        env.note_fault(f"{name} has a parameter that PostgreSQL's client does not know.")
    return config


def _server_url(url: str) -> SplitResult | None:
    """The parts of a server's address; None for one that a character of the password breaks: ``#`` begins a fragment."""
    parts = env.split_url(url)
    return None if parts is None or parts.fragment else parts


def cache_config(cache_url: str, limits_url: str) -> dict[str, Any]:
    """``default`` may lose anything at any time; ``limits`` counts requests across processes."""
    embedded_cache = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    embedded_limits = {"BACKEND": "saas.operations.counter_cache.DatabaseCounterCache"}
    return {
        "default": _redis("CACHE_URL", cache_url, "cache") or embedded_cache,
        "limits": _redis("LIMITS_URL", limits_url, "limits") or embedded_limits,
    }


def _redis(name: str, url: str, prefix: str) -> dict[str, Any] | None:
    if not url:
        return None
    if not url.startswith("unix://") and not is_redis_url(url):
        env.note_fault(f"{name} must be redis://user:password@host:port/number: {_ENCODED}.")
        return None
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": [url],  # a list: a text would be split at commas, which a password may hold
        "KEY_PREFIX": prefix,
        "OPTIONS": {
            "socket_timeout": REDIS_TIMEOUT_SECONDS,
            "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            # One immediate retry, for a connection that a restart of Redis closed; none after a timeout.
            "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        },
    }


def is_redis_url(url: str) -> bool:
    """Whether this is the address of a Redis server, whose path, if it has one, is the number of a database."""
    parts = _server_url(url)
    if parts is None or not url.startswith(("redis://", "rediss://")) or (parts.netloc and not parts.hostname):
        return False
    return re.fullmatch(r"/?\d*", parts.path) is not None


def is_broker(url: str) -> bool:
    """Whether Celery can use this broker, or these (``amqp://one;amqp://two``)."""
    if url.startswith(("redis://", "rediss://")):
        return all(map(is_redis_url, url.split(";")))
    if url.startswith(("amqp://", "amqps://", "pyamqp://")):
        return None not in map(_server_url, url.split(";"))
    return url.startswith(("filesystem://", "sentinel://", "memory://"))


def with_redis_words(url: str) -> str:
    """Return the URL in redis-py's words: Celery's documents say ``CERT_NONE`` where redis-py says ``none``."""
    return re.sub(r"(?<=ssl_cert_reqs=)CERT_(NONE|OPTIONAL|REQUIRED)", lambda found: found[1].lower(), url)


def broker_tls(url: str) -> dict[str, Any] | bool:
    """Return Celery's ``broker_use_ssl``. Kombu by itself verifies no certificate of Redis, and no name in RabbitMQ's.

    What the URL says (``?ssl_cert_reqs=none``, ``?ssl_ca_certs=/path``) takes its place.
    """
    if url.startswith("rediss://"):
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if url.startswith("amqps://"):
        # None is the broker's own name. Of several brokers Kombu would expect that of the first.
        return {"cert_reqs": ssl.CERT_REQUIRED, **({} if ";" in url else {"server_hostname": None})}
    return False


def broker_options(url: str, var_dir: Path) -> dict[str, Any]:
    """Return Kombu's transport options. The embedded broker keeps messages in files, and may lose them: the row is the queue."""
    if url.startswith("filesystem"):
        TRANSPORT_ALIASES["filesystem"] = "saas.workers.file_broker:Transport"
        folders = {name: var_dir / "broker" / name for name in ("messages", "processed", "control")}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        return {
            "data_folder_in": str(folders["messages"]),
            "data_folder_out": str(folders["messages"]),
            "processed_folder": str(folders["processed"]),
            "control_folder": str(folders["control"]),
            "polling_interval": 0.05,
        }
    if url.startswith(("amqp", "pyamqp")):
        return {"connect_timeout": BROKER_TIMEOUT_SECONDS, "write_timeout": BROKER_TIMEOUT_SECONDS}
    return {"socket_timeout": BROKER_TIMEOUT_SECONDS, "socket_connect_timeout": BROKER_TIMEOUT_SECONDS}


def worker_concurrency(processors: int) -> int:
    """Return how many processes a worker has without ``--concurrency``.

    One for each processor of a large machine would need more memory than a container has, and more connections than PostgreSQL.
    """
    return min(processors, MAX_WORKER_CONCURRENCY)


def email_config(url: str) -> dict[str, Any]:
    """Django's ``EMAIL_*`` settings from ``smtp://user:password@host:port?tls=true|ssl=true``."""
    parts = _server_url(url)
    if parts and parts.scheme == "console":
        return {"EMAIL_BACKEND": "saas.mail.console.EmailBackend"}
    flags = _email_flags(parts.query) if parts else None
    if parts is None or flags is None or parts.scheme != "smtp" or not parts.hostname:
        env.note_fault(
            f"EMAIL_URL must be console:// or smtp://user:password@host:port with ?tls=true or ?ssl=true: {_ENCODED}."
        )
        return {}
    port = parts.port or (IMPLICIT_TLS_PORT if "ssl" in flags else 25)
    has_implicit_tls = "ssl" in flags or port == IMPLICIT_TLS_PORT  # RFC 8314: there TLS comes before any greeting
    return {
        "EMAIL_BACKEND": "saas.mail.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": "tls" in flags and not has_implicit_tls,
        "EMAIL_USE_SSL": has_implicit_tls,
        "EMAIL_TIMEOUT": 5,
    }


def _email_flags(query: str) -> set[str] | None:
    """Return which of ``tls`` and ``ssl`` is on; None for both, and for anything else: a misspelt one would send passwords
    in the clear."""
    said = {name: env.truth(values[-1]) for name, values in parse_qs(query, keep_blank_values=True).items()}
    on = {name for name, is_on in said.items() if is_on}
    return on if said.keys() <= {"tls", "ssl"} and None not in said.values() and len(on) < 2 else None
