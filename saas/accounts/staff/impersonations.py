"""Staff see the product as a customer sees it, under her name and their own (RFC 8693 delegation, decision 23):
for minutes, with a reason, with neither cookie nor refresh token, and every request is in the trail."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from saas.accounts import reauthentication
from saas.accounts.models import Audience, Impersonation, LoginSession, User
from saas.accounts.sessions import tokens
from saas.accounts.sessions.logins import end_session
from saas.accounts.staff.staff_administration import AccountNotActive
from saas.accounts.staff.staff_roles import Permission, permissions_of
from saas.audit.actions import record
from saas.errors import DomainError

METHOD = "impersonation"  # what stands in such a session's ``methods``
AGENT = "Support"  # what the customer sees among her devices
MAX_MINUTES = 15


class ImpersonationDisabled(DomainError):
    code, title, status = "impersonation_off", "Impersonation is switched off.", 403


class CannotImpersonateStaff(DomainError):
    code, title, status = "cannot_impersonate_staff", "Nobody acts in the name of staff, or of herself.", 403


@dataclass(frozen=True)
class ImpersonationRequest:
    """What a member of staff asks for. ``current_password`` confirms a login that is older than five minutes."""

    reason: str
    minutes: int = MAX_MINUTES
    ticket: str = ""
    write: bool = False
    current_password: str = ""


def impersonate(customer: User, *, by: LoginSession, wish: ImpersonationRequest) -> tuple[Impersonation, str]:
    """Start acting in a customer's name; the row and its access token.

    Raises ``ImpersonationDisabled``, ``CannotImpersonateStaff``, ``AccountNotActive``, ``ReauthRequired``.
    """
    _require_possible(customer)
    reauthentication.require_recent_login(by, current_password=wish.current_password)
    return _start(customer, by, wish, timezone.now())


def _require_possible(customer: User) -> None:
    if not settings.IMPERSONATION_ENABLED:
        raise ImpersonationDisabled
    if customer.is_staff or customer.is_superuser:
        raise CannotImpersonateStaff
    if not customer.is_active:
        raise AccountNotActive


@transaction.atomic
def _start(customer: User, by: LoginSession, wish: ImpersonationRequest, now: datetime) -> tuple[Impersonation, str]:
    ends_at = now + timedelta(minutes=wish.minutes)
    row = Impersonation.objects.create(
        session=_session(customer, now, ends_at),
        staff_session=by,
        reason=wish.reason,
        ticket=wish.ticket,
        may_write=wish.write,
        started_at=now,
        ends_at=ends_at,
    )
    record(
        "impersonation.started", actor=by.user_id or "", target=customer.id, act_as=customer.id, reason=wish.reason,
        impersonation=row.id, minutes=wish.minutes, write=wish.write,
    )  # fmt: skip
    return row, tokens.issue_impersonation_token(row)


def _session(customer: User, now: datetime, ends_at: datetime) -> LoginSession:
    """No cookie leads to it: its key is random and no cookie's hash."""
    return LoginSession.objects.create(
        session_key=secrets.token_hex(32),
        user=customer,
        audience=Audience.CUSTOMER,
        epoch=customer.token_epoch,
        methods=METHOD,
        agent=AGENT,
        created_at=now,
        authenticated_at=now
        - reauthentication.RECENT_LOGIN_WINDOW * 2,  # never fresh enough for what asks for a fresh login
        last_seen_at=now,
        expire_date=ends_at,
        ends_at=ends_at,
    )


def record_refusal(customer: User, *, by: User, code: str) -> None:
    """Note that somebody wanted to and was not let, and by which refusal."""
    record("impersonation.refused", actor=by.id, target=customer.id, code=code)


@transaction.atomic
def end_impersonation(impersonation: Impersonation, *, by: User) -> None:
    """Stop it now. May be repeated."""
    changed = Impersonation.objects.filter(pk=impersonation.pk, ended_at=None).update(ended_at=timezone.now())
    end_session(impersonation.session)
    if changed:
        record(
            "impersonation.ended", actor=by.id, target=impersonation.session.user_id or "",
            impersonation=impersonation.id,
        )  # fmt: skip


def running_impersonation(session: LoginSession) -> Impersonation | None:
    """The impersonation whose session this is, if it is running and its author may still do this: asked every time."""
    row = Impersonation.objects.running_in(session, timezone.now()) if settings.IMPERSONATION_ENABLED else None
    if row is None or row.staff_session.user is None:
        return None
    needed = Permission.IMPERSONATE_WRITE if row.may_write else Permission.IMPERSONATE
    return row if needed in permissions_of(row.staff_session.user) else None


def record_request(impersonation: Impersonation, *, method: str, route: str, status: int) -> None:
    """One line in the trail for each request in a customer's name."""
    customer = impersonation.session.user_id or ""
    record(
        "impersonation.request", actor=impersonation.staff_session.user_id or "", act_as=customer, target=customer,
        reason=impersonation.reason, impersonation=impersonation.id, method=method, route=route, status=status,
    )  # fmt: skip
