"""The minimum that stores an event durably, as a WSGI application: verify, insert, commit, answer. No notification, no checks."""

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from psycopg_pool import ConnectionPool

from saas.tests.benchmarks.baselines import rows
from saas.tests.benchmarks.deliveries import SECRET
from saas.webhook_events.signatures import verify

POOL_SIZE = 8

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE, kwargs={"autocommit": True})


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    verify(environ["HTTP_STRIPE_SIGNATURE"], body, secrets=[SECRET], tolerance_seconds=300, now=time.time())
    row = rows.row(body)
    with pool.connection() as connection:
        connection.execute(*rows.insert([row]))
    answer = json.dumps({"status": "accepted", "event_id": row[0]}).encode()
    start_response("202 Accepted", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
