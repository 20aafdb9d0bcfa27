import secrets
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand

from saas.accounts import actions
from saas.accounts.models import User
from saas.accounts.sessions import logins
from saas.accounts.staff.staff_administration import create_staff
from saas.billing.catalogue import seed_plans

# Under example.org, which receives no mail. (user@example.com and admin@example.com are what people type to try us.)
SUPPORT = ("support@example.org", "Sol Support")
CUSTOMERS = (
    ("demo.ada@example.org", "Ada Demo"),
    ("demo.grace@example.org", "Grace Demo"),
    ("demo.alan@example.org", "Alan Demo"),
)
PASSWORD_BYTES = 12


class Command(BaseCommand):
    help = "The plans; outside production also people to try the system with. May be repeated: what is there stays."

    def handle(self, **options: Any) -> None:
        if settings.BILLING:
            seed_plans()
        if settings.PRODUCTION:
            plans = "The plans are there. " if settings.BILLING else ""
            self.stdout.write(f"{plans}No demo people in production; for staff: manage.py create_staff")
            return
        if created := [*_create_customers(), *_create_support()]:
            self.stdout.write("New accounts. Their passwords are shown only now:")
            for email, password, role in created:
                self.stdout.write(f"  {email:<26} {password}  {role}")


def _create_customers() -> list[tuple[str, str, str]]:
    return [(email, _register(email, name), "customer") for email, name in CUSTOMERS if _is_new(email)]


def _create_support() -> list[tuple[str, str, str]]:
    email, name = SUPPORT
    if not _is_new(email):
        return []
    password = _new_password()
    create_staff(email=email, password=password, full_name=name, by="system", is_superuser=True)
    return [(email, password, "staff")]


def _register(email: str, full_name: str) -> str:
    """Registering also logs in; nobody holds that login, so it ends here."""
    password = _new_password()
    login = actions.register_customer(email=email, password=password, full_name=full_name)
    logins.log_out(login.session)
    return password


def _is_new(email: str) -> bool:
    return User.objects.by_email(email) is None


def _new_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)
