"""Mails to members of staff lead to Admin ops: Product's pages are for customers alone."""

import re

import pytest

from saas.accounts.models import StaffRole
from saas.testing.factories import user_factories
from saas.testing.mails import deliver_queued_mails

NEW_PASSWORD = "a phrase that only the colleague knows"


@pytest.fixture
def colleague(admin_ops, staff_member):
    """A member of staff who was mailed a link to set a new password."""
    person = user_factories.create_staff_member("", StaffRole.SUPPORT_READ)
    path = f"/api/admin/users/{person.user.pk}/password-reset"
    assert admin_ops.post(path, {"reason": "forgot it"}, token=staff_member.token).status_code == 202
    return person


def set_password(admin_ops, mail):
    page, token = re.search(r"http://localhost:8001(/\S+)\?token=(\S+)", mail.body).groups()
    admin_ops.get(page)
    return admin_ops.submit_form(page, {"token": token, "new_password": NEW_PASSWORD})


def test_the_link_that_sets_a_new_password_is_of_admin_ops(admin_ops, colleague):
    (mail,) = deliver_queued_mails("password_reset")

    done = set_password(admin_ops, mail)

    assert "The link works once, for a quarter of an hour." in mail.body
    assert (done.status_code, b"Your password is set" in done.content) == (200, True)
    login = {"email": colleague.user.email, "password": NEW_PASSWORD}
    assert admin_ops.post("/api/admin/auth/login", login).status_code == 200


def test_a_notice_leads_to_the_login_of_admin_ops(admin_ops, colleague):
    set_password(admin_ops, *deliver_queued_mails("password_reset"))

    (notice,) = deliver_queued_mails("password_changed")

    assert re.findall(r"http://\S+/\S*", notice.body) == ["http://localhost:8001/admin/login/"]
    assert "An admin can mail you a link that sets a new password." in notice.body


def test_a_customers_link_stays_on_products_pages(admin_ops, customer, staff_member):
    admin_ops.post(f"/api/admin/users/{customer.user.pk}/password-reset", token=staff_member.token)

    (mail,) = deliver_queued_mails("password_reset")

    assert "http://localhost:8000/reset?token=" in mail.body
    assert "The link works once, for half an hour." in mail.body
