"""The impersonated view: staff look at Product's pages in a customer's name, in the browser.

Admin ops shows a code, Product exchanges it for a cookie of its own (decision 150). The code works once, for 30 seconds; the
cookie as long as the impersonation, and for reading pages only.
"""

import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from saas.accounts.models import Impersonation, LoginSession
from saas.accounts.sessions.tokens import hash_token
from saas.accounts.staff.impersonations import running_impersonation
from saas.audit.actions import record
from saas.errors import DomainError

CODE_LIFETIME = timedelta(seconds=30)


class ViewCodeInvalid(DomainError):
    code, title, status = "view_code_invalid", "This code is not valid, or not any more. Open the view again.", 400


@transaction.atomic
def issue_view_code(impersonation: Impersonation) -> str:
    """Return a new code; an earlier one stops working. Call ``require_recent_login`` for the member of staff first."""
    raw = f"view_{secrets.token_urlsafe(32)}"
    Impersonation.objects.filter(pk=impersonation.pk).update(
        view_code_hash=hash_token(raw), view_code_expires_at=timezone.now() + CODE_LIFETIME
    )
    return raw


@transaction.atomic
def exchange_view_code(code: str) -> tuple[Impersonation, str]:
    """Use a code up; return the impersonation and the value of its cookie. Raises ``ViewCodeInvalid``."""
    now, key = timezone.now(), secrets.token_urlsafe(32)
    waiting = Impersonation.objects.running(now).filter(view_code_hash=hash_token(code), view_code_expires_at__gt=now)
    row = waiting.select_related("session", "staff_session").first()
    if row is None or not _use_up(row, code, key):
        raise ViewCodeInvalid
    customer = row.session.user_id or ""
    record(
        "impersonation.view_opened", actor=row.staff_session.user_id or "", target=customer, act_as=customer,
        impersonation=row.id,
    )  # fmt: skip
    return row, key


def _use_up(row: Impersonation, code: str, key: str) -> bool:
    """Of two that exchange the same code at once, one wins."""
    unused = Impersonation.objects.filter(pk=row.pk, view_code_hash=hash_token(code))
    return bool(unused.update(view_code_hash="", view_key_hash=hash_token(key)))


def find_viewed(key: str) -> tuple[Impersonation, LoginSession] | None:
    """Return the running impersonation of a cookie and its session, with the customer; None for every other."""
    session = LoginSession.objects.live().filter(impersonation__view_key_hash=hash_token(key)).first() if key else None
    row = running_impersonation(session) if session else None
    return (row, session) if row and session else None


def seconds_left(impersonation: Impersonation, now: datetime) -> int:
    return max(0, int((impersonation.ends_at - now).total_seconds()))
