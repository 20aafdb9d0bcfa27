"""What ``manage.py up`` says when everything runs: what to open, how to log in, and what to try."""

from collections.abc import Mapping

from django.conf import settings
from django.urls import Resolver404, resolve

from saas.accounts.models import User
from saas.management.commands.seed import SUPPORT

TITLES = {"product": "Product API", "admin_ops": "Admin ops API", "parity": "Parity API", "webhooks": "Webhooks API"}
_NEGLIGIBLE_SECONDS = 5.0


def ready_block(urls: Mapping[str, str], *, seconds: float, in_all: float) -> str:
    """``seconds``: start time without installation; ``in_all``: with it."""
    product, admin = urls["product"], f"{urls['admin_ops']}/admin/"
    pages = {
        **({"Front page": f"{product}/"} if _has_front_page() else {}),
        "Admin": f"{admin}  {_support_login()}",
        "API docs": f"{product}/docs",
        "Mailbox": f"{product}/dev/mail",
    }
    width = max(len(url) for url in urls.values())
    return "\n".join(
        [
            "",
            f"READY in {in_all:.1f} s{_share_of_installation(seconds, in_all)}",
            "",
            *(f"  {title:<14} {page}" for title, page in pages.items()),
            "",
            *(f"  {TITLES[name]:<14} {url:<{width}}  {url}/docs  {url}/health" for name, url in urls.items()),
            "",
            "Three things to try, in another terminal:",
            "",
            f"  curl -s {product}/api/auth/register -H 'Content-Type: application/json' \\",
            """       -d '{"email": "you@example.net", "password": "correct horse battery", "full_name": "You"}'""",
            _second_thing(),
            "  python3 manage.py doctor                    # does everything work?",
            "",
            "Ctrl-C stops everything.",
            "",
        ]
    )


def _share_of_installation(seconds: float, in_all: float) -> str:
    installing = in_all - seconds
    return f", of which {installing:.0f} s made the environment, once" if installing > _NEGLIGIBLE_SECONDS else ""


def _has_front_page() -> bool:
    try:
        resolve("/", urlconf="product.urls")
    except Resolver404:
        return False
    return True


def _support_login() -> str:
    """Return the login of ``seed``; without the password once it has been changed."""
    email = SUPPORT[0]
    user = User.objects.by_email(email)
    file = settings.DEVELOPMENT_SECRETS and settings.DEVELOPMENT_SECRETS / "support_password"
    password = file.read_text(encoding="utf-8").strip() if file and file.exists() else ""
    if user is not None and password and user.check_password(password):
        return f"log in as {email} with {password}"
    return f"log in as {email}; a new password: python3 manage.py create_staff --email {email} --again"


def _second_thing() -> str:
    if not settings.BILLING:
        return "  python3 manage.py stripe_trigger charge.succeeded  # a signed event, see it in the admin, under Webhook events"
    return (
        "  python3 manage.py stripe_trigger invoice.paid  # a signed event; see it in the admin, under Webhook events"
    )
