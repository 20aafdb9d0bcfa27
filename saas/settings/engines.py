"""Build the settings of database, caches, broker and mail transport from their URLs, with time limits."""

from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import dj_database_url
from kombu.transport import TRANSPORT_ALIASES
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


def replica_config(url: str, primary: dict[str, Any]) -> dict[str, Any]:
    """The ``DATABASES`` entry of a replica, with the time limits of ``primary``."""
    config = _postgres(url, "DATABASE_REPLICA_URL") or {}
    if "pool" not in primary["OPTIONS"]:
        env.note_fault("DATABASE_REPLICA_URL needs DATABASE_URL: it is a replica of that database.")
    return {**config, "OPTIONS": {**config.get("OPTIONS", {}), **primary["OPTIONS"]}, "TEST": {"MIRROR": "default"}}


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
    config["OPTIONS"] = {
        **config.get("OPTIONS", {}),
        "connect_timeout": 2,
        "tcp_user_timeout": 5000,
        "options": f"-c random_page_cost=1.1 -c statement_timeout={statement_timeout_ms} -c lock_timeout=1000 -c idle_in_transaction_session_timeout=10000",
        "pool": pool,
        "prepare_threshold": PREPARE_ON_DEMAND if may_prepare else None,
    }
    return config


def answer_timeout_seconds(statement_timeout_ms: int) -> float:
    """Return how long a client waits for a statement that the server cancels after ``statement_timeout_ms``."""
    return statement_timeout_ms / 1000 + ANSWER_MARGIN_SECONDS if statement_timeout_ms else DEFAULT_ANSWER_SECONDS


def _postgres(url: str, name: str) -> dict[str, Any] | None:
    """Return None for a URL of another database, which is a fault."""
    if urlsplit(url).scheme in {"postgres", "postgresql"}:
        with suppress(ValueError):  # its message may contain the password
            return dict(dj_database_url.parse(url, conn_health_checks=True))  # pre-ping by the pool
    env.note_fault(f"{name} must be postgres://user:password@host/name: no other database is known.")
    return None


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
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        env.note_fault(f"{name} must be redis://host:port/number.")
        return None
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": prefix,
        "OPTIONS": {
            "socket_timeout": REDIS_TIMEOUT_SECONDS,
            "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
            # One immediate retry, for a connection that a restart of Redis closed; none after a timeout.
            "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        },
    }


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


def email_config(url: str) -> dict[str, Any]:
    """Django's ``EMAIL_*`` settings from ``smtp://user:password@host:port?tls=true|ssl=true``."""
    parts = urlsplit(url)
    if parts.scheme == "console":
        return {"EMAIL_BACKEND": "saas.mail.console.EmailBackend"}
    if parts.scheme != "smtp" or not parts.hostname:
        env.note_fault("EMAIL_URL must be console:// or smtp://host:port.")
        return {}
    flags = {name for name, values in parse_qs(parts.query).items() if values[-1] in {"1", "true"}}
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or 25,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": "tls" in flags,
        "EMAIL_USE_SSL": "ssl" in flags,
        "EMAIL_TIMEOUT": 5,
    }
