"""No password from the starter's documentation works (T51)."""

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError, call_command

from saas.accounts.models import User
from saas.accounts.staff.staff_administration import create_staff
from saas.accounts.staff.staff_checks import no_default_passwords
from saas.errors import Invalid


def test_the_starters_admin_does_not_exist(admin_ops, staff_member):
    body = {"email": "admin@example.com", "password": "AdminPass123!"}

    assert admin_ops.post("/api/admin/auth/login", body).status_code == 401


@pytest.mark.parametrize("password", ["AdminPass123!", "adminpass123!"])
def test_the_starters_password_is_refused_for_staff(db, password):
    with pytest.raises(Invalid):
        create_staff(email="ada@example.net", password=password, full_name="Ada", by="system", is_superuser=True)

    assert not User.objects.exists()


def test_the_check_fails_where_a_user_has_the_starters_password(staff_member, customer):
    User.objects.filter(pk=staff_member.user.pk).update(password=make_password("AdminPass123!"))

    with pytest.raises(CommandError, match=r"accounts\.E001"):
        call_command("check", "--deploy", "--database=default", "--tag=database")


def test_the_check_passes_over_an_account_that_is_banned(staff_member):
    User.objects.filter(pk=staff_member.user.pk).update(password=make_password("AdminPass123!"), status="disabled")

    assert no_default_passwords(databases=["default"]) == []


def test_the_check_passes_with_other_passwords(staff_member):
    assert no_default_passwords(databases=["default"]) == []
    assert no_default_passwords() == []
