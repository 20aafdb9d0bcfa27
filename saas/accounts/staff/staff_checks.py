"""System checks of staff accounts for ``manage.py check --deploy --database default``."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.hashers import check_password
from django.core.checks import CheckMessage, Error, Tags, register

from saas.accounts.models import User
from saas.accounts.passwords.validators import DEFAULT_PASSWORDS


@register(Tags.database, deploy=True)
def no_default_passwords(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report staff with a password that public documentation names. Costs one hash per member of staff."""
    staff = User.objects.filter(is_staff=True, status=User.Status.ACTIVE) if databases else User.objects.none()
    return [
        Error(f"{user.email} has a password that everybody knows.", id="accounts.E001")
        for user in staff.order_by("pk")
        if any(check_password(password, user.password) for password in DEFAULT_PASSWORDS)
    ]
