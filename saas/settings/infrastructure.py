"""Database, caches, broker, mail and logs: embedded by default, servers by URL."""

import os
from typing import Any

from celery.schedules import crontab

from saas import env
from saas.settings import engines
from saas.settings.environment import PROCESS, PRODUCTION, SAAS_ENV, VAR_DIR
from saas.settings.payments import BILLING, USES_LOCAL_PROVIDER

DATABASE_URL = env.text("DATABASE_URL", help="`postgres://user:password@host/name`. Empty: SQLite in the var folder.")
DATABASE_REPLICA_URL = env.text(
    "DATABASE_REPLICA_URL", help="A replica of it, for lists, statistics and exports of staff. Empty: none."
)
REDIS_URL = engines.with_redis_words(
    env.text("REDIS_URL", help="`redis://host:6379/0`: broker, limits and cache. Empty: the embedded ones.")
)
CACHE_URL = engines.with_redis_words(
    env.text("CACHE_URL", default=REDIS_URL, help="Redis that may lose anything. Default: REDIS_URL.")
)
LIMITS_URL = engines.with_redis_words(
    env.text("LIMITS_URL", default=REDIS_URL, help="Redis that counts requests; without eviction. Default: REDIS_URL.")
)
DATABASE_POOL_SIZE = env.integer(
    "DATABASE_POOL_SIZE", default=8, minimum=1, maximum=1000, help="Most PostgreSQL connections of one process."
)
DATABASE_PREPARED_STATEMENTS = env.boolean(
    "DATABASE_PREPARED_STATEMENTS",
    default=True,
    help="Plan hot statements once for each connection. Off for a PgBouncer older than 1.21.",
)
_STATEMENT_TIMEOUTS_MS = {
    "service": env.integer(
        "DATABASE_STATEMENT_TIMEOUT_MS", default=3000, help="A service's longer statement is cancelled; 0 for never."
    ),
    "worker": env.integer(
        "WORKER_STATEMENT_TIMEOUT_MS", default=15000, help="A worker's longer statement is cancelled; 0 for never."
    ),
    "command": 0,  # a migration may take long, but has the same lock timeout
}
DATABASES = {
    "default": engines.database_config(
        DATABASE_URL,
        VAR_DIR,
        pool_size=DATABASE_POOL_SIZE,
        may_prepare=DATABASE_PREPARED_STATEMENTS,
        statement_timeout_ms=_STATEMENT_TIMEOUTS_MS[PROCESS],
        is_service=PROCESS == "service",
    )
}
DATABASE_ROUTERS = []
if DATABASE_REPLICA_URL:
    DATABASES["replica"] = engines.replica_config(DATABASE_REPLICA_URL, DATABASES["default"])
    DATABASE_ROUTERS = ["saas.database.replica.ReplicaRouter"]
DATABASE_ANSWER_SECONDS = engines.answer_timeout_seconds(_STATEMENT_TIMEOUTS_MS[PROCESS])
CACHES = engines.cache_config(CACHE_URL, LIMITS_URL)
RATELIMIT_USE_CACHE = "limits"

CELERY_BROKER_URL = env.text(
    "BROKER_URL",
    default=REDIS_URL or "filesystem://localhost",
    help="Celery broker: `redis://` or `amqp://`. Default: REDIS_URL, else files in the var folder.",
)
CELERY_BROKER_TRANSPORT_OPTIONS = engines.broker_options(CELERY_BROKER_URL, VAR_DIR)
CELERY_BROKER_USE_SSL = engines.broker_tls(CELERY_BROKER_URL)
CELERY_BROKER_CONNECTION_TIMEOUT = 0.5
CELERY_BROKER_HEARTBEAT = 10  # seconds; else workers notice a dead connection to RabbitMQ after minutes
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker, however long
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # Redis as a replica, or full, raises a channel error
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 60  # hard: its process ends, in every pool (saas.workers.celery_signals)
if not engines.is_broker(CELERY_BROKER_URL):
    env.note_fault("BROKER_URL must be redis://host:port/number or amqp://user:password@host:port/vhost.")
_IS_EMBEDDED = CELERY_BROKER_URL.startswith("filesystem")
# With the embedded broker Celery's processes share a lock: if its holder dies, the others wait for ever. Threads do not.
CELERY_WORKER_POOL = "threads" if _IS_EMBEDDED else "prefork"
CELERY_WORKER_CONCURRENCY = engines.worker_concurrency(os.cpu_count() or 1)
CELERY_WORKER_PREFETCH_MULTIPLIER = 4 if _IS_EMBEDDED else 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # keeps mails on the console readable
WORKER_METRICS_PORT = env.integer(
    "WORKER_METRICS_PORT", default=0, maximum=65535, help="Where a worker tells Prometheus of its tasks; 0 for nowhere."
)
WORKER_NICE = env.integer(
    "WORKER_NICE",
    default=10,
    maximum=19,
    help="How far workers stand back for the services of the same machine (`nice`): 0 not at all, 19 as far as possible.",
)
METRICS_BIND = env.text(
    "METRICS_BIND",
    help="`host:port` where a service also tells its metrics, without a check of `Host`. Not a loopback address: with `INTERNALS_TOKEN`.",
)
_metrics_port = METRICS_BIND.rpartition(":")[2]
if METRICS_BIND and not (_metrics_port.isdecimal() and 0 < int(_metrics_port) < 65_536):
    env.note_fault("METRICS_BIND must be host:port.")
CELERY_BEAT_SCHEDULER = "saas.workers.beat_scheduler:DatabaseScheduler"


def _every(seconds: float, task: str, *, expires: int = 0) -> dict[str, Any]:
    """By default a run that has not begun when the next is due is dropped."""
    return {"task": task, "schedule": seconds, "options": {"expires": expires or int(seconds)}}


CELERY_BEAT_SCHEDULE = {
    "sweep webhook events": _every(5.0, "saas.webhook_events.tasks.sweep"),
    "seal audit events": _every(5.0, "saas.audit.tasks.seal"),
    "anchor audit events": _every(3600.0, "saas.audit.tasks.anchor", expires=600),
    "delete expired rows": _every(60.0, "saas.operations.tasks.delete_expired"),
    "sweep accounts": _every(10.0, "saas.accounts.tasks.sweep"),
    "tidy accounts": _every(600.0, "saas.accounts.tasks.tidy"),
    "check invariants": {
        "task": "saas.operations.tasks.check_invariants",
        "schedule": crontab(hour="3", minute="30"),
        "options": {"expires": 3600},
    },
    "sweep mail": _every(10.0, "saas.mail.tasks.sweep"),
}
if BILLING:
    CELERY_BEAT_SCHEDULE |= {
        "reconcile billing": _every(300.0, "saas.billing.tasks.reconcile_all"),
        "write of cards, find plans, go on after trials": _every(
            86_400.0, "saas.billing.tasks.do_daily_work", expires=3600
        ),
        "send customers' profiles": _every(60.0, "saas.billing.tasks.send_profiles"),
        "change plans at a period's end": _every(60.0, "saas.billing.tasks.make_due_changes"),
        "move payers to another price": _every(60.0, "saas.billing.tasks.apply_price_moves"),
        "link customers who pay": _every(300.0, "saas.billing.tasks.link_customers"),
        "end checkouts of who is gone": _every(300.0, "saas.billing.tasks.expire_orphaned_checkouts"),
        "update seats": _every(600.0, "saas.teams.tasks.update_all_seats"),
    }
if USES_LOCAL_PROVIDER:
    CELERY_IMPORTS = ["saas.billing.providers.local.tasks"]
    CELERY_BEAT_SCHEDULE["turn local clock"] = _every(10.0, "saas.billing.tasks.turn_local_clock")

EMAIL_URL = env.text(
    "EMAIL_URL", default="console://", help="`smtp://user:password@host:587?tls=true`, or in development `console://`."
)
globals().update(engines.email_config(EMAIL_URL))
MAILS_ARE_SHOWN = SAAS_ENV == "development"  # at /dev/mail, so their links are kept after they were sent
DEFAULT_FROM_EMAIL = env.mailbox(
    "DEFAULT_FROM_EMAIL", default="SaaS <no-reply@localhost>", help="Sender of every mail."
)

SENTRY_DSN = env.text("SENTRY_DSN", help="Where unexpected errors are reported. Empty: nowhere.")
_dsn = env.split_url(SENTRY_DSN)
if SENTRY_DSN and not (_dsn and _dsn.hostname and _dsn.username and _dsn.path.rpartition("/")[2].isdecimal()):
    env.note_fault("SENTRY_DSN must be https://key@host/project.")
OTEL_ENDPOINT = env.text(
    "OTEL_ENDPOINT", help="OTLP collector for traces, such as `http://collector:4318/v1/traces`. Empty: none are made."
)
_collector = env.split_url(OTEL_ENDPOINT)
if OTEL_ENDPOINT and not (_collector and _collector.hostname and _collector.scheme in {"http", "https"}):
    env.note_fault("OTEL_ENDPOINT must be http://host:port/v1/traces.")
elif _collector and _collector.hostname and _collector.path in {"", "/"}:  # as OpenTelemetry's own variable is written
    OTEL_ENDPOINT = f"{OTEL_ENDPOINT.rstrip('/')}/v1/traces"
_LOG_FORMAT = env.choice(
    "LOG_FORMAT",
    choices=["lines", "json"],
    default="json" if PRODUCTION else "lines",
    help="Log lines for people, or a JSON object each. Default in production: `json`.",
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "saas.logs.ContextFilter"}},
    "formatters": {"lines": {"()": "saas.logs.LineFormatter"}, "json": {"()": "saas.logs.json_formatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["context"], "formatter": _LOG_FORMAT}},
    "root": {
        "handlers": ["console"],
        "level": env.choice(
            "LOG_LEVEL",
            choices=["DEBUG", "INFO", "WARNING", "ERROR"],
            default="INFO",
            help="Least severe log line that is written.",
        ),
    },
    "loggers": {
        # RequestContextMiddleware logs each request, without its query string.
        "django.server": {"handlers": ["console"], "level": "CRITICAL", "propagate": False},
        # Each would log every sweep, every few seconds.
        "celery.beat": {"level": "WARNING"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # any client can send any Host
        "httpx": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "CRITICAL"},  # saas.background_tasks logs it with the request id
    },
}
