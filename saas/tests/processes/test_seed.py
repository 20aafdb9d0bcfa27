"""What the seed makes, once."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from saas.accounts.models import LoginSession, User
from saas.billing.models import Plan


def seed() -> str:
    out = StringIO()
    call_command("seed", stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_seeding_twice_makes_everything_once_and_shows_passwords_once() -> None:
    first, second = seed(), seed()

    assert [plan.id for plan in Plan.objects.order_by("price_cents")] == ["starter", "growth", "scale"]
    assert set(User.objects.values_list("email", "is_staff")) == {
        ("demo.ada@example.org", False),
        ("demo.grace@example.org", False),
        ("demo.alan@example.org", False),
        ("support@example.org", True),
    }
    assert len(re.findall(r"example\.org +\S{16}  ", first)) == 4
    assert second == ""


@pytest.mark.parametrize(
    ("service_name", "path", "email"),
    [
        ("product", "/api/auth/login", "demo.ada@example.org"),
        ("admin_ops", "/api/admin/auth/login", "support@example.org"),
    ],
)
def test_the_shown_passwords_log_in_to_their_service(service: Any, service_name: str, path: str, email: str) -> None:
    passwords = dict(re.findall(r"(\S+@example\.org) +(\S+)", seed()))

    answer = service(service_name).post(path, {"email": email, "password": passwords[email]})

    assert answer.status_code == 200


@pytest.mark.django_db
def test_nobody_is_logged_in_by_seeding() -> None:
    seed()

    assert not LoginSession.objects.live().exists()


@pytest.mark.django_db
def test_production_gets_the_plans_and_nobody(settings: Any) -> None:
    settings.PRODUCTION = True

    said = seed()

    assert Plan.objects.count() == 3
    assert not User.objects.exists()
    assert "create_staff" in said
