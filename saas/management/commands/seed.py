import secrets
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand

from saas.accounts import actions
from saas.accounts.models import User
from saas.accounts.sessions import logins
from saas.accounts.staff.staff_administration import create_staff
from saas.billing.catalogue import seed_plans

# Under example.org, which receives no mail. People register user@example.com and admin@example.com themselves.
SUPPORT = ("support@example.org", "Sol Support")
CUSTOMERS = (
    ("demo.ada@example.org", "Ada Demo"),
    ("demo.grace@example.org", "Grace Demo"),
    ("demo.alan@example.org", "Alan Demo"),
)
PASSWORD_BYTES = 12


class Command(BaseCommand):
    help = "Create the plans and, outside production, demo accounts. May be repeated: plans are updated, people kept."

    def handle(self, **options: Any) -> None:
        if settings.BILLING:
            seed_plans()
        if settings.PRODUCTION:
            plans = "The plans are there. " if settings.BILLING else ""
            self.stdout.write(f"{plans}No demo people in production; for staff: manage.py create_staff")
            return
        created = [(email, _register(email, name), "customer") for email, name in CUSTOMERS if _is_new(email)]
        email, name = SUPPORT
        if _is_new(email):
            password = secrets.token_urlsafe(PASSWORD_BYTES)
            create_staff(email=email, password=password, full_name=name, by="system", is_superuser=True)
            created.append((email, password, "staff"))
        if created:
            self.stdout.write("New accounts. Their passwords are shown only now:")
            for email, password, role in created:
                self.stdout.write(f"  {email:<26} {password}  {role}")


def _register(email: str, full_name: str) -> str:
    """Return the password of a new account. Registering also logs in; that session is revoked."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    login = actions.register_customer(email=email, password=password, full_name=full_name)
    logins.log_out(login.session)
    return password


def _is_new(email: str) -> bool:
    return User.objects.by_email(email) is None
