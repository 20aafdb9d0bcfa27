"""The history that the seed makes in development: what its pages and figures show."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from admin_ops.revenue import revenue_metrics
from saas.accounts.models import User
from saas.accounts.staff.staff_administration import create_staff
from saas.audit.hash_chain import extend_chain
from saas.audit.verification import find_trail_faults
from saas.billing.alarms import count_alarms
from saas.billing.catalogue import seed_plans
from saas.billing.models import Invoice, InvoiceAdjustment, LedgerEntry, Subscription
from saas.mail.models import Mail
from saas.management import demo_history
from saas.operations.invariants import find_violations
from saas.teams.models import Membership
from saas.webhook_events.models import WebhookEvent

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def history(db):
    with time_machine.travel(NOW):
        with demo_history.first_day():
            seed_plans()
            staff = create_staff(email="support@example.org", password="a long password", full_name="Sol", by="system")
        assert demo_history.can_have_history()
        demo_history.write_history(staff)
        yield


@pytest.mark.long
def test_the_history_is_whole_and_its_figures_agree(history):
    assert Counter(Subscription.objects.values_list("status", flat=True)) == {
        "active": 17,
        "canceled": 3,
        "past_due": 1,
    }
    movements = Counter(LedgerEntry.objects.moving().values_list("movement", flat=True))
    assert movements == {"new": 20, "churn": 3, "expansion": 2, "contraction": 1, "reactivation": 1}
    money = revenue_metrics(NOW)
    earning = sum(row.monthly_cents for row in Subscription.objects.filter(status__in=Subscription.EARNING).linked())
    assert money["monthly_recurring_revenue"] == earning / 100 == money["months"][-1]["closing"]
    assert money["paying_customers"] == 17  # the twentieth has no account, and two have left for good
    assert all(month["closing"] > 0 for month in money["months"])
    assert InvoiceAdjustment.objects.count() == 2
    assert count_alarms() == {"failed_event": 1, "pays_has_nothing": 1, "past_due": 1}
    assert set(WebhookEvent.objects.values_list("status", flat=True)) == {"processed", "quarantined"}
    assert list(find_violations()) == []
    while extend_chain():
        pass
    assert list(find_trail_faults()) == []

    signed_up = User.objects.customers().order_by("created_at").values_list("created_at", flat=True)
    assert len(signed_up) == len(demo_history.HISTORY)
    assert (signed_up[0] < NOW - timedelta(days=540), max(signed_up) < NOW) == (True, True)
    assert Invoice.objects.filter(issued_at__gt=NOW).count() == 0
    assert not WebhookEvent.objects.filter(received_at__gt=NOW).exists()
    assert WebhookEvent.objects.filter(received_at__lt=NOW - timedelta(days=500)).exists()
    assert (Membership.objects.count(), Mail.objects.count()) == (6, 0)
    assert not demo_history.can_have_history()


def test_there_is_none_where_somebody_has_bought(product, customer):
    seed_plans()
    product.post("/api/subscriptions/checkout", {"plan_id": "starter"}, token=customer.token)

    assert not demo_history.can_have_history()


@pytest.mark.parametrize("switch", ["BILLING", "USES_LOCAL_PROVIDER"])
def test_there_is_none_without_the_local_provider(db, settings, switch):
    setattr(settings, switch, False)

    assert not demo_history.can_have_history()


def test_everybody_joins_first_and_within_eighteen_months():
    for steps in demo_history.HISTORY.values():
        moments = [step.moment(NOW) for step in steps]
        assert [step.act is demo_history.joins for step in steps] == [True] + [False] * (len(steps) - 1)
        assert moments == sorted(moments)
        assert NOW - timedelta(days=549) <= moments[0] < moments[-1] + timedelta(days=1) <= NOW
