"""``manage.py create_staff --email … --role …``: the only way to become staff."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from saas.accounts.models import StaffRole
from saas.accounts.staff.staff_administration import invite_staff, reinvite_staff
from saas.accounts.staff.staff_pages import staff_password_page
from saas.errors import DomainError


class Command(BaseCommand):
    help = "Create a staff user. Prints the link by which they set their password, once, within 15 minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--role", action="append", default=[], choices=StaffRole.values, help="May be given again.")
        parser.add_argument("--name", default="")
        parser.add_argument("--again", action="store_true", help="Only a new link, for an existing staff user.")

    def handle(self, *args: Any, **options: Any) -> None:
        roles = [StaffRole(role) for role in options["role"]]
        if bool(roles) == options["again"]:
            raise CommandError("Give --role for a new staff user, or --again for another link.")
        try:
            if options["again"]:
                user, token = reinvite_staff(email=options["email"], by="system")
            else:
                user, token = invite_staff(email=options["email"], full_name=options["name"], by="system", roles=roles)
        except DomainError as refusal:
            raise CommandError(refusal.detail) from refusal
        with_roles = f" ({', '.join(roles)})" if roles else ""
        self.stdout.write(f"{user.email} is staff{with_roles}. They set their password here, within 15 minutes:")
        self.stdout.write(f"{staff_password_page()}{token}")
