"""Where mails to members of staff lead: to Admin ops. Product's pages are for customers alone."""

from django.conf import settings

from saas.accounts.models import User

_LOGIN, _PASSWORD = "/admin/login/", "/admin/password/"


def staff_password_page() -> str:
    """The page on which staff set a password, up to the token of the link."""
    return f"{settings.SERVICE_BASE_URLS['admin_ops']}{_PASSWORD}?token="


def mail_values(user: User) -> dict[str, str]:
    """Values of the mails that both customers and staff get: the name, and for staff the address of their login page."""
    login = {"staff_login": f"{settings.SERVICE_BASE_URLS['admin_ops']}{_LOGIN}"} if user.is_staff else {}
    return {"name": user.full_name, **login}
