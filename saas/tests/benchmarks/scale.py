"""How cost grows with the number of rows: everything that people or workers ask, at each size of the tables.

The tables are filled by the database itself from one row that the code has written. The queries are those of our code.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from django.conf import settings

from saas.tests.benchmarks.environment import Environment

SMALLEST, LARGEST = 10_000, 1_000_000

_EVENTS = """
INSERT INTO webhook_events_webhookevent SELECT copy.*
FROM generate_series(%s::bigint, %s::bigint) AS n, jsonb_populate_record(
    (SELECT event FROM webhook_events_webhookevent AS event ORDER BY id LIMIT 1),
    jsonb_build_object(
        'id', nextval('webhook_events_webhookevent_id_seq'), 'external_id', 'evt_' || n, 'status', 'processed',
        'type', 'kind.of_' || n %% 250 || '.updated', 'object_id', 'obj_' || n, 'customer_id', 'cus_' || n %% 1000,
        'received_at', now() - n * interval '1 second', 'processed_at', now() - n * interval '1 second'
    )
) AS copy
"""
_USERS = """
INSERT INTO accounts_user SELECT copy.*
FROM generate_series(%s::bigint, %s::bigint) AS n, jsonb_populate_record(
    (SELECT person FROM accounts_user AS person WHERE email = 'first@example.net'),
    jsonb_build_object(
        'id', 'usr_' || lpad(n::text, 26, '0'), 'email', 'user' || n || '@example.net',
        'email_canonical', 'user' || n || '@example.net', 'full_name', 'User ' || n,
        'created_at', now() - n * interval '10 seconds'
    )
) AS copy
"""


@dataclass(frozen=True)
class Cost:
    design: str
    rows: int
    ms: float
    sequential_scans: int  # of the two large tables, in one call


def run(
    environment: Environment, *, rounds: int, seconds: float, say: Callable[[str], None], size: int = LARGEST
) -> list[Cost]:
    if not environment.database_url:
        raise SystemExit("bench scale needs DATABASE_URL.")
    _ask(environment, "first_rows", 1)
    found: list[Cost] = []
    filled = 0
    for rows in _sizes(size):
        with psycopg.connect(environment.database_url, autocommit=True) as database:
            database.execute("SET synchronous_commit = off")
            for statement in (_EVENTS, _USERS):
                database.execute(statement, (filled + 1, rows))
            database.execute("VACUUM ANALYZE")
        filled = rows
        found += [Cost(name, rows, ms, scans) for name, (ms, scans) in _ask(environment, "measure", rounds).items()]
        say(f"{rows} rows")
    return sorted(found, key=lambda cost: (cost.design, cost.rows))


def _sizes(largest: int) -> list[int]:
    """Ten times as many each time."""
    steps = [SMALLEST * 10**power for power in range(9)]
    return [*(step for step in steps if step < largest), largest]


def _ask(environment: Environment, function: str, rounds: int) -> dict[str, tuple[float, int]]:
    done = subprocess.run(
        [sys.executable, "-m", "saas.tests.benchmarks.queries", function, str(rounds)],
        cwd=settings.BASE_DIR,
        env={**os.environ, "SAAS_ENV": "test", **environment.variables, "DATABASE_STATEMENT_TIMEOUT_MS": "60000"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    answer: dict[str, tuple[float, int]] = json.loads(done.stdout)
    return answer
