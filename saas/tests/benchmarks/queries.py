"""``python -m saas.tests.benchmarks.queries measure 5``: what ``scale`` asks of a database of some size."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import django


def first_rows(rounds: int) -> dict[str, object]:
    """Create the rows that all others are copies of."""
    from saas.accounts.models import User
    from saas.tests.benchmarks import deliveries
    from saas.webhook_events.actions import store_deliveries
    from saas.webhook_events.event_storage import IncomingEvent

    store_deliveries([IncomingEvent.parse(next(deliveries.bodies())[1], headers={})])
    user = User(email="first@example.net", full_name="First")
    user.set_unusable_password()
    user.save()
    return {}


def measure(rounds: int) -> dict[str, tuple[float, int]]:
    """Return the median milliseconds of each query, and how many sequential scans one call makes."""
    found = {}
    for name, ask in _queries().items():
        ask()
        before, times = _scans(), []
        for _ in range(rounds):
            started = time.perf_counter()
            ask()
            times.append((time.perf_counter() - started) * 1000)
        found[name] = (round(statistics.median(times), 3), (_scans() - before) // rounds)
    return found


def _scans() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT sum(seq_scan) FROM pg_stat_user_tables"
            " WHERE relname IN ('webhook_events_webhookevent', 'accounts_user')"
        )
        return int(cursor.fetchone()[0])


def _queries() -> dict[str, Callable[[], object]]:
    from django.utils import timezone

    from admin_ops import queries
    from saas.accounts.models import User
    from saas.api.pagination import paginate
    from saas.tests.benchmarks import deliveries
    from saas.webhook_events import replays
    from saas.webhook_events.actions import store_deliveries
    from saas.webhook_events.event_storage import IncomingEvent
    from saas.webhook_events.models import WebhookEvent
    from saas.webhook_events.monitoring import statistics as figures
    from saas.webhook_events.processing import claims

    bodies = deliveries.bodies()

    def page(**conditions: str) -> object:
        return paginate(WebhookEvent.objects.matching(**conditions), cursor="", limit=50)

    return {
        "take one in": lambda: store_deliveries([IncomingEvent.parse(next(bodies)[1], headers={})]),
        "claim a batch": lambda: claims.claim_batch(),
        "log: newest": lambda: page(),
        "log: one status": lambda: page(status="processed"),
        "log: one id": lambda: page(search="evt_5000"),
        "log: part of a type": lambda: page(search="of_77."),
        "log: one customer's": lambda: list(WebhookEvent.objects.filter(customer_id="cus_77").order_by("-pk")[:20]),
        "log: nothing found": lambda: page(search="there is none"),
        "replay preview": lambda: replays.preview_replay({"type": "kind.of_77.updated"}),
        "stats": figures.inbox_statistics,
        "login: the account": lambda: User.objects.by_email("user5000@example.net"),
        "people: newest": lambda: list(queries.search_users()[:50]),
        "people: search": lambda: list(queries.search_users(search="user5000@")[:50]),
        "people: counts": lambda: queries.customer_counts(timezone.now()),
    }


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "saas.settings.admin_ops"
    django.setup()
    json.dump(globals()[sys.argv[1]](int(sys.argv[2])), sys.stdout)
