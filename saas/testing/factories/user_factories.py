"""Customers and staff for tests, created by the actions that create real ones."""

from dataclasses import dataclass
from itertools import count

from saas.accounts import actions
from saas.accounts.models import Audience, StaffRole, User
from saas.accounts.sessions import logins
from saas.accounts.staff.staff_administration import create_staff

PASSWORD = "correct horse battery staple"
_numbers = count(1)


@dataclass(frozen=True)
class Person:
    """A logged-in user: the account, and what the client holds."""

    user: User
    token: str
    refresh_token: str
    cookie_key: str
    session_id: str
    password: str = PASSWORD


def create_customer(email: str = "", full_name: str = "Kim Example") -> Person:
    """Register a customer, and log in."""
    address = email or f"kim{next(_numbers)}@example.net"
    user = actions.new_customer(email=address, password=PASSWORD, full_name=full_name)
    return _person(actions.register_customer(user, password=PASSWORD))


def create_staff_member(email: str = "", *roles: StaffRole) -> Person:
    """Create a member of staff with ``roles`` (none: a superuser), logged in at Admin ops."""
    address = email or f"staff{next(_numbers)}@example.net"
    create_staff(
        email=address, password=PASSWORD, full_name="Sam Support", by="system", roles=roles, is_superuser=not roles
    )
    return _person(logins.log_in(email=address, password=PASSWORD, audience=Audience.STAFF))


def _person(login: logins.Login | logins.PendingMfa) -> Person:
    assert isinstance(login, logins.Login)
    return Person(login.user, login.access_token, login.refresh_token, login.cookie_key, login.session.sid)
