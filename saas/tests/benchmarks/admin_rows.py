"""``python -m saas.tests.benchmarks.admin_rows 100000 <email> <password>``: a business of so many people, and one of its staff.

A tenth of them subscribe, and there are ten events for each, as in the target: 1 M people, 100 K subscriptions, 10 M events.
"""

import os
import sys

import django
from django.db import connection
from django.db.backends.utils import CursorWrapper

from saas.tests.benchmarks import rows

EVENTS_A_PERSON, PEOPLE_A_SUBSCRIPTION = 10, 10
_AT_ONCE = 500_000  # a statement keeps its foreign keys to check in memory
_EVENTS = """
INSERT INTO webhook_events_webhookevent (
    provider, external_id, type, api_version, livemode, account, object_type, object_id, customer_id, provider_created,
    received_at, processed_at, next_attempt_at, body_sha256, body_size, source, status, attempts, failures, losses,
    generation, replay_count, last_error, body_conflict)
SELECT 'stripe', 'evt_' || n, 'kind.of_' || n % 250 || '.updated', '', true, '', 'kind', 'obj_' || n,
       'cus_' || n % %(people)s, at, at, at, at, '', 2400, 'delivery',
       CASE n % 1000 WHEN 0 THEN 'failed' WHEN 1 THEN 'ignored' ELSE 'processed' END, 1, 0, 0, 0, 0, '', false
FROM (SELECT n, now() - (%(events)s - n) * interval '1 second' AS at
      FROM generate_series(%(first)s, %(last)s) n) numbered
"""
_ATTEMPTS = """
INSERT INTO webhook_events_webhookattempt (
    event_id, number, generation, trigger, solo, worker, started_at, finished_at, outcome, error)
SELECT id, 1, 0, 'delivery', false, 'worker', received_at, received_at,
       CASE status WHEN 'failed' THEN 'failed' ELSE 'processed' END, ''
FROM webhook_events_webhookevent WHERE id > %(after)s
"""
_AUDIT = """
INSERT INTO audit_auditevent (at, actor, act_as, action, target, reason, address, request_id, data)
SELECT now() - (%(people)s - n) * interval '10 seconds', 'usr_' || lpad(n::text, 26, '0'), '', 'session.opened',
       'ses_' || n, '', '', 'req_' || n, '{}'
FROM generate_series(1, %(people)s) n
"""


def fill(people: int) -> None:
    from saas.billing.catalogue import seed_plans

    seed_plans()
    rows.fill(people=people, subscriptions=people // PEOPLE_A_SUBSCRIPTION)
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(rows.numbered(_AUDIT), {"people": people})
        fill_events(cursor, people)
        cursor.execute("VACUUM ANALYZE")


def fill_events(cursor: CursorWrapper, people: int) -> None:
    events = people * EVENTS_A_PERSON
    for first in range(1, events + 1, _AT_ONCE):
        cursor.execute("SELECT coalesce(max(id), 0) FROM webhook_events_webhookevent")
        (after,) = cursor.fetchone()
        last = min(first + _AT_ONCE - 1, events)
        cursor.execute(rows.numbered(_EVENTS), {"people": people, "events": events, "first": first, "last": last})
        cursor.execute(_ATTEMPTS, {"after": after})


def create_staff_login(email: str, password: str) -> None:
    """Create a superuser, who may see every page."""
    from saas.accounts.staff.staff_administration import create_staff

    create_staff(email=email, password=password, full_name="Sam Support", by="system", is_superuser=True)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "saas.settings.admin_ops"
    django.setup()
    fill(int(sys.argv[1]))
    create_staff_login(*sys.argv[2:])
