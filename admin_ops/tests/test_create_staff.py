"""Staff accounts are made by command, never over HTTP."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from saas.accounts.models import User
from saas.audit.models import AuditEvent
from saas.testing.factories import user_factories


def create(*roles):
    out = StringIO()
    chosen = [f"--role={role}" for role in roles]
    call_command("create_staff", "--email=ada@example.net", "--name=Ada", *chosen, stdout=out)
    return out.getvalue().strip()


def test_new_staff_set_their_password_by_the_link_once_and_log_in(admin_ops, product):
    token = create("support-write", "auditor").rpartition("token=")[2]
    password = "a phrase that only Ada knows"
    chosen = {"token": token, "new_password": password}

    assert product.post("/api/auth/password/reset", chosen).status_code == 200
    assert product.post("/api/auth/password/reset", chosen).status_code == 400
    answer = admin_ops.post("/api/admin/auth/login", {"email": "ada@example.net", "password": password})

    assert answer.status_code == 200
    assert answer.json()["roles"] == ["support-write", "auditor"]
    event = AuditEvent.objects.get(action="staff.created")
    assert event.data == {"roles": ["support-write", "auditor"]}
    assert token not in str(list(AuditEvent.objects.values()))


def test_the_link_leads_to_a_page_of_admin_ops_that_works_once(admin_ops):
    link = create("support-write").splitlines()[-1]
    page, _, token = link.removeprefix("http://localhost:8001").partition("?token=")
    fields = {"token": token, "new_password": "a phrase that only Ada knows"}

    shown = admin_ops.get(f"{page}?token={token}")
    weak = admin_ops.submit_form(page, {**fields, "new_password": "short"})
    done = admin_ops.submit_form(page, fields)
    again = admin_ops.submit_form(page, {**fields, "new_password": "another phrase of somebody else"})

    assert (page, shown.status_code) == ("/admin/password/", 200)
    assert (weak.status_code, b"Use at least 12 characters." in weak.content) == (422, True)
    assert (done.status_code, b"Your password is set" in done.content) == (200, True)
    assert (again.status_code, b"This link is not valid" in again.content) == (400, True)
    login = {"email": "ada@example.net", "password": fields["new_password"]}
    assert admin_ops.post("/api/admin/auth/login", login).status_code == 200


def test_a_link_that_is_over_says_so_before_a_password_is_typed(admin_ops):
    token = create("support-write").rpartition("token=")[2]
    admin_ops.get(f"/admin/password/?token={token}")
    admin_ops.submit_form("/admin/password/", {"token": token, "new_password": "a phrase that only Ada knows"})

    page = admin_ops.get(f"/admin/password/?token={token}")

    assert (page.status_code, b"This link is not valid" in page.content) == (400, True)
    assert b"new_password" not in page.content


def test_the_link_expires_after_15_minutes_and_a_command_makes_another(admin_ops):
    started = datetime(2027, 1, 1, 12, tzinfo=UTC)
    with time_machine.travel(started, tick=False):
        token = create("auditor").rpartition("token=")[2]
    admin_ops.get("/admin/password/")
    with time_machine.travel(started + timedelta(minutes=15, seconds=1), tick=False):
        late = admin_ops.submit_form(
            "/admin/password/", {"token": token, "new_password": "a phrase that only Ada knows"}
        )
        out = StringIO()
        call_command("create_staff", "--email=ada@example.net", "--again", stdout=out)
        fresh = out.getvalue().strip().rpartition("token=")[2]
        done = admin_ops.submit_form(
            "/admin/password/", {"token": fresh, "new_password": "a phrase that only Ada knows"}
        )

    assert (late.status_code, done.status_code) == (400, 200)
    assert AuditEvent.objects.filter(action="staff.invited_again").count() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--email=kim@example.org", "--again"], "No active member of staff"),
        (["--email=ada@example.net"], "Give --role"),
        (["--email=ada@example.net", "--role=admin", "--again"], "Give --role"),
    ],
)
def test_a_link_is_made_for_staff_only_and_a_role_is_asked_for(db, options, message):
    user_factories.create_customer("kim@example.org")

    with pytest.raises(CommandError, match=message):
        call_command("create_staff", *options)


def test_an_address_that_is_taken_is_refused(customer):
    with pytest.raises(CommandError, match="There is an account with this e-mail address already"):
        call_command("create_staff", f"--email={customer.user.email.upper()}", "--role=admin")

    assert User.objects.filter(is_staff=True).count() == 0


@pytest.mark.parametrize(("email", "role"), [("no address", "admin"), ("ada@example.net", "root")])
def test_what_is_no_address_or_no_role_is_refused(db, email, role):
    with pytest.raises((CommandError, SystemExit)):
        call_command("create_staff", f"--email={email}", f"--role={role}")

    assert not User.objects.exists()


def test_a_banned_member_of_staff_gets_no_new_link(staff_member):
    User.objects.update(status=User.Status.DISABLED)

    with pytest.raises(CommandError, match="No active member of staff"):
        call_command("create_staff", f"--email={staff_member.user.email}", "--again")
