"""Where mails to members of staff lead: to Admin ops. Product's pages are for customers alone."""

from django.conf import settings

from saas.accounts.models import User

_LOGIN, _PASSWORD = "/admin/login/", "/admin/password/"


def staff_password_page() -> str:
    """The page on which staff set a password, up to the token of the link."""
    return f"{settings.SERVICE_BASE_URLS['admin_ops']}{_PASSWORD}?token="


def mail_values(user: User) -> dict[str, str]:
    """What each mail to a person is given: their name, and for staff where they log in, instead of a page of Product."""
    login = {"staff_login": f"{settings.SERVICE_BASE_URLS['admin_ops']}{_LOGIN}"} if user.is_staff else {}
    return {"name": user.full_name, **login}
