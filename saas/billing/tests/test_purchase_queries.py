"""How many statements a purchase and a renewal cost, from the click to the last projected row and mail.

The numbers are exact: a row that is read once more, or a loop that writes row by row, changes them. One that falls may be
lowered here; one that rises needs a reason.
"""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from saas.billing.checkouts import start_checkout
from saas.billing.models import Invoice, Subscription
from saas.billing.providers.local import test_clock
from saas.mail.models import Mail
from saas.testing.factories.user_factories import Person
from saas.webhook_events.models import WebhookEvent

PURCHASE = {"postgresql": 107, "sqlite": 115}
RENEWAL = {"postgresql": 59, "sqlite": 63}


@pytest.fixture(autouse=True)
def one_transaction_for_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine would split it."""
    monkeypatch.setattr("saas.webhook_events.processing.batches.TRANSACTION_SECONDS", 60)


def test_a_purchase_and_a_renewal_cost_these_statements(customer: Person) -> None:
    with CaptureQueriesContext(connection) as purchase:
        start_checkout(customer.user, plan_id="growth")
    assert (Subscription.objects.get().status, Invoice.objects.get().status) == ("active", "paid")

    test_clock.advance_and_process(timedelta(minutes=1))  # the clock's row is made once
    with CaptureQueriesContext(connection) as renewal:
        test_clock.advance_and_process(timedelta(days=32))
    assert Invoice.objects.filter(status="paid").count() == Mail.objects.filter(template="receipt").count() == 2
    assert not WebhookEvent.objects.exclude(status="processed").exists()

    counted = (len(purchase), len(renewal))
    assert counted == (PURCHASE[connection.vendor], RENEWAL[connection.vendor])
