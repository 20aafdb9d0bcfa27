"""Metrics of users and webhooks, and the health for staff."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.utils import timezone

from admin_ops.queries import active_customer_counts, customer_counts
from saas.accounts.models import LoginSession, User
from saas.testing.factories import user_factories


@pytest.mark.parametrize(
    ("came_at", "window", "count"),
    [
        (datetime(2026, 4, 10, tzinfo=UTC), "signups_today", 1),
        (datetime(2026, 4, 9, 23, 59, 59, tzinfo=UTC), "signups_today", 0),
        (datetime(2026, 4, 3, 12, tzinfo=UTC), "signups_7d", 1),
        (datetime(2026, 4, 3, 11, 59, 59, tzinfo=UTC), "signups_7d", 0),
        (datetime(2026, 3, 11, 12, tzinfo=UTC), "signups_30d", 1),
        (datetime(2026, 3, 11, 11, 59, 59, tzinfo=UTC), "signups_30d", 0),
    ],
)
def test_today_begins_at_midnight_and_a_week_seven_days_ago(db, came_at, window, count):
    with time_machine.travel(came_at, tick=False):
        user_factories.create_customer()

    assert customer_counts(datetime(2026, 4, 10, 12, tzinfo=UTC))[window] == count


def test_user_metrics_count_customers_and_when_they_came(admin_ops, db, django_assert_num_queries):
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False):
        old = user_factories.create_customer()
        User.objects.filter(pk=user_factories.create_customer().user.pk).update(status=User.Status.DISABLED)
        User.objects.filter(pk=user_factories.create_customer().user.pk).update(status=User.Status.DELETED)
    with time_machine.travel(datetime(2026, 3, 25, 12, tzinfo=UTC), tick=False):
        user_factories.create_customer()
    with time_machine.travel(datetime(2026, 4, 10, 12, tzinfo=UTC), tick=False):
        User.objects.filter(pk=old.user.pk).update(email_verified_at=datetime(2026, 4, 1, tzinfo=UTC))
        user_factories.create_customer()
        staff_member = user_factories.create_staff_member()
        with django_assert_num_queries(8):
            body = admin_ops.get("/api/admin/metrics/users", token=staff_member.token).json()

    days = body.pop("signups_by_day")
    assert body == {
        "total_users": 4,
        "active_users": 3,
        "disabled_users": 1,
        "deleted_users": 1,
        "verified_users": 1,
        "signups_today": 1,
        "signups_7d": 1,
        "signups_30d": 2,
        "active_1d": 1,
        "active_7d": 1,
        "active_30d": 2,
    }
    assert len(days) == 30
    assert days[0] == {"day": "2026-03-12", "count": 0}
    assert days[-1] == {"day": "2026-04-10", "count": 1}
    assert sum(day["count"] for day in days) == 2


def test_what_support_did_in_a_customers_name_is_no_use_of_theirs(admin_ops, db):
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False):
        away, back = user_factories.create_customer(), user_factories.create_customer()
    with time_machine.travel(datetime(2026, 4, 10, 12, tzinfo=UTC), tick=False):
        support = user_factories.create_staff_member().token
        for person in (away, back):
            body = {"reason": "ticket 7"}
            admin_ops.post(f"/api/admin/users/{person.user.pk}/impersonate", body, token=support)
        LoginSession.objects.filter(sid=back.session_id).update(last_seen_at=datetime(2026, 4, 5, tzinfo=UTC))
        figures = active_customer_counts(datetime(2026, 4, 10, 12, 1, tzinfo=UTC))

    assert figures == {"active_1d": 0, "active_7d": 1, "active_30d": 1}


@pytest.mark.parametrize("status", [User.Status.DISABLED, User.Status.DELETED])
def test_who_is_banned_or_deleted_by_now_is_not_active(customer, status):
    seen = active_customer_counts(timezone.now())
    User.objects.filter(pk=customer.user.pk).update(status=status)

    gone = active_customer_counts(timezone.now())

    assert (set(seen.values()), set(gone.values())) == ({1}, {0})


def test_the_health_for_staff_counts_audit_events(admin_ops, staff_member):
    body = admin_ops.get("/api/admin/health", token=staff_member.token).json()

    assert set(body) == {"status", "service", "uptime", "audit_events"}
    assert (body["status"], body["service"], body["audit_events"]) == ("ok", "admin_ops", 2)
    assert admin_ops.get("/api/admin/health").status_code == 401
    assert admin_ops.get("/api/health").status_code == 200


def test_the_modules_of_this_service_answer(admin_ops):
    modules = admin_ops.get("/api/health/modules").json()["modules"]

    assert [(module["module"], module["status"]) for module in modules] == [
        ("auth-core", "ok"),
        ("session", "ok"),
        ("users-core", "ok"),
        ("settings", "ok"),
    ]
    assert admin_ops.get("/api/health/module/oauth").status_code == 404


def test_webhook_metrics_tell_what_waits_and_how_it_went(admin_ops, staff_member):
    body = admin_ops.get("/api/admin/metrics/webhooks", token=staff_member.token).json()

    assert (body["due"], body["oldest_due_seconds"], body["failure_rate"]) == (0, 0, None)
    assert body["by_status"]["queued"] == 0
    assert body["lag_seconds"] == {"p50": None, "p95": None, "p99": None}
    assert body["counts_are_exact"] is True
