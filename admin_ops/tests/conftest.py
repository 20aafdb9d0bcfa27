"""Fixtures of the tests of the admin site."""

import pytest

from admin_ops.tests.pages import open_admin_site


@pytest.fixture
def admin_site(admin_ops, staff_member):
    """A client that is logged in to Django admin as an admin."""
    return open_admin_site(admin_ops, staff_member)
