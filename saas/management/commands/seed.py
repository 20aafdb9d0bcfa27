import secrets
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser

from saas import env
from saas.accounts import actions
from saas.accounts.models import User
from saas.accounts.sessions import logins
from saas.accounts.staff.staff_administration import create_staff
from saas.billing.catalogue import seed_plans, seed_yearly_prices

# Under example.org, which receives no mail. People register user@example.com and admin@example.com themselves.
SUPPORT = ("support@example.org", "Sol Support")
CUSTOMERS = (
    ("demo.ada@example.org", "Ada Demo"),
    ("demo.grace@example.org", "Grace Demo"),
    ("demo.alan@example.org", "Alan Demo"),
)
PASSWORD_BYTES = 12

Account = tuple[str, str, str]  # address, password, role


class Command(BaseCommand):
    help = (
        "Create the plans and, outside production, demo accounts with eighteen months of history. "
        "May be repeated: plans are updated, people kept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-history",
            action="store_false",
            dest="history",
            default=settings.SAAS_ENV == "development",
            help="Without customers who have signed up, paid, upgraded and left. They are made once, where nothing was bought.",
        )

    def handle(self, *, history: bool, **options: Any) -> None:
        if settings.PRODUCTION:
            if settings.BILLING:
                seed_plans()
            plans = "The plans are there. " if settings.BILLING else ""
            self.stdout.write(f"{plans}No demo people in production; for staff: manage.py create_staff")
            return
        created = self._seed_with_history() if history and _can_have_history() else _seed_plans_and_support()
        created += [(email, _register(email, name), "customer") for email, name in CUSTOMERS if _is_new(email)]
        if created:
            self.stdout.write("New accounts. The customers' passwords are shown only now:")
            for email, password, role in created:
                self.stdout.write(f"  {email:<26} {password}  {role}")

    def _seed_with_history(self) -> list[Account]:
        """The audit trail only goes forward, so what the history needs is made on its first day, and the rest after it."""
        from saas.management import demo_history

        with demo_history.first_day():
            created = _seed_plans_and_support()
        people = demo_history.write_history(User.objects.get(email=SUPPORT[0]))
        self.stdout.write(f"{people} customers have a history of eighteen months, made up.")
        return created


def _can_have_history() -> bool:
    """Only in a new system: the audit trail of one that is in use has its own past."""
    if User.objects.exists() or find_spec("time_machine") is None:  # the image has no development packages
        return False
    from saas.management import demo_history  # it needs the local provider, which production has not

    return demo_history.can_have_history()


def _seed_plans_and_support() -> list[Account]:
    if settings.BILLING:
        seed_plans()
        seed_yearly_prices()
    email, name = SUPPORT
    if not _is_new(email):
        return []
    password = support_password()
    create_staff(email=email, password=password, full_name=name, by="system", is_superuser=True)
    return [(email, password, "staff")]


def support_password() -> str:
    """Return the password with which the support login is created, kept with the other development secrets."""
    if settings.DEVELOPMENT_SECRETS is None:
        raise CommandError("Production has no support login of this kind: manage.py create_staff")
    path = settings.DEVELOPMENT_SECRETS / "support_password"
    return env.read_or_create(path, lambda: secrets.token_urlsafe(PASSWORD_BYTES)).strip()


def _register(email: str, full_name: str) -> str:
    """Return the password of a new account. Registering also logs in; that session is revoked."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    user = actions.new_customer(email=email, password=password, full_name=full_name)
    login = actions.register_customer(user, password=password)
    logins.log_out(login.session)
    return password


def _is_new(email: str) -> bool:
    return User.objects.by_email(email) is None
