"""Fixtures of the tests of the admin site."""

import pytest

from admin_ops.tests.pages import open_admin_site
from saas.billing import checkouts
from saas.billing.models import Subscription
from saas.testing.factories import event_factories


@pytest.fixture
def admin_site(admin_ops, staff_member):
    """A client that is logged in to Django admin as an admin."""
    return open_admin_site(admin_ops, staff_member)


@pytest.fixture
def bought(customer):
    """The subscription of a customer who has bought the plan growth, with its events processed."""
    checkouts.start_checkout(customer.user, plan_id="growth")
    event_factories.drain()
    return Subscription.objects.get()
