"""Concurrent bans, and an audit event that cannot be written. On PostgreSQL, because SQLite has one writer."""

import pytest
from django.db import DatabaseError

from saas import request_context
from saas.accounts.models import StaffRole, User
from saas.accounts.staff import staff_administration
from saas.audit.models import AuditEvent
from saas.testing.concurrency import run_concurrently
from saas.testing.factories import user_factories

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def test_two_admins_cannot_ban_each_other_at_once():
    staff_member, eve = user_factories.create_staff_member().user, user_factories.create_staff_member().user

    outcome = run_concurrently(
        lambda: staff_administration.ban_user(staff_member, by=eve, reason="race"),
        lambda: staff_administration.ban_user(eve, by=staff_member, reason="race"),
    )

    assert outcome == ["done", "last_admin"]
    assert User.objects.admins().count() == 1


def test_two_admins_cannot_demote_each_other_at_once():
    staff_member, eve = (user_factories.create_staff_member("", StaffRole.ADMIN).user for _ in range(2))
    lower = {"roles": [StaffRole.AUDITOR], "reason": "race"}

    outcome = run_concurrently(
        lambda: staff_administration.set_roles(staff_member, by=eve, **lower),
        lambda: staff_administration.set_roles(eve, by=staff_member, **lower),
    )

    assert outcome == ["done", "last_admin"]
    assert User.objects.admins().count() == 1


def test_eight_bans_at_once_are_one():
    customer, staff_member = user_factories.create_customer().user, user_factories.create_staff_member().user

    outcome = run_concurrently(
        *[lambda: staff_administration.ban_user(User.objects.get(pk=customer.pk), by=staff_member, reason="race")] * 8
    )

    assert outcome == ["done"] * 8
    assert AuditEvent.objects.filter(action="user.banned").count() == 1
    customer.refresh_from_db()
    assert customer.token_epoch == 1


def test_an_action_whose_audit_event_cannot_be_written_does_not_happen():
    customer, staff_member = user_factories.create_customer().user, user_factories.create_staff_member().user

    with request_context.use_context(request_context.Context(address="x" * 46)), pytest.raises(DatabaseError):
        staff_administration.ban_user(customer, by=staff_member, reason="spam")

    customer.refresh_from_db()
    assert customer.status == "active"
    assert customer.token_epoch == 0
