"""Impersonation: staff use the product in a customer's name and their own (RFC 8693 delegation, decision 23).

It lasts minutes, needs a reason, has neither cookie nor refresh token, and every request is in the audit trail.
"""

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
from saas.accounts.staff.staff_roles import StaffPermission, permissions_of
from saas.audit.actions import record
from saas.errors import DomainError

METHOD = "impersonation"  # the value of such a session's ``methods``
AGENT = "Support"  # what the customer sees in the list of devices
MAX_MINUTES = 15


class ImpersonationDisabled(DomainError):
    code, title, status = "impersonation_off", "Impersonation is switched off.", 403


class CannotImpersonateStaff(DomainError):
    code, title, status = "cannot_impersonate_staff", "You cannot act in the name of staff, or of yourself.", 403


@dataclass(frozen=True)
class ImpersonationRequest:
    """``current_password`` is needed if the login of the member of staff is older than five minutes."""

    reason: str
    minutes: int = MAX_MINUTES
    ticket: str = ""
    write: bool = False
    current_password: str = ""


def impersonate(customer: User, *, by: LoginSession, request: ImpersonationRequest) -> tuple[Impersonation, str]:
    """Start an impersonation; return its row and access token.

    Raises ``ImpersonationDisabled``, ``CannotImpersonateStaff``, ``AccountNotActive``, ``ReauthRequired``.
    """
    if not settings.IMPERSONATION_ENABLED:
        raise ImpersonationDisabled
    if customer.is_staff or customer.is_superuser:
        raise CannotImpersonateStaff
    if not customer.is_active:
        raise AccountNotActive
    reauthentication.require_recent_login(by, current_password=request.current_password)
    return _start(customer, by, request, timezone.now())


@transaction.atomic
def _start(customer: User, by: LoginSession, request: ImpersonationRequest, now: datetime) -> tuple[Impersonation, str]:
    ends_at = now + timedelta(minutes=request.minutes)
    row = Impersonation.objects.create(
        session=_session(customer, now, ends_at),
        staff_session=by,
        reason=request.reason,
        ticket=request.ticket,
        may_write=request.write,
        started_at=now,
        ends_at=ends_at,
    )
    record(
        "impersonation.started", actor=by.user_id or "", target=customer.id, act_as=customer.id, reason=request.reason,
        impersonation=row.id, minutes=request.minutes, write=request.write,
    )  # fmt: skip
    return row, tokens.issue_impersonation_token(row)


def _session(customer: User, now: datetime, ends_at: datetime) -> LoginSession:
    """Create a session that no cookie leads to: its key is random and not the hash of a cookie."""
    return LoginSession.objects.create(
        session_key=secrets.token_hex(32),
        user=customer,
        audience=Audience.CUSTOMER,
        epoch=customer.token_epoch,
        methods=METHOD,
        agent=AGENT,
        created_at=now,
        authenticated_at=now - reauthentication.RECENT_LOGIN_WINDOW * 2,  # too old for ``require_recent_login``
        last_seen_at=now,
        expire_date=ends_at,
        ends_at=ends_at,
    )


def record_refused_impersonation(customer: User, *, by: User, code: str) -> None:
    """Record that an impersonation was refused, with the code of the refusal."""
    record("impersonation.refused", actor=by.id, target=customer.id, code=code)


@transaction.atomic
def end_impersonation(impersonation: Impersonation, *, by: User) -> None:
    """End it now. May be repeated."""
    changed = Impersonation.objects.filter(pk=impersonation.pk, ended_at=None).update(ended_at=timezone.now())
    end_session(impersonation.session)
    if changed:
        record(
            "impersonation.ended", actor=by.id, target=impersonation.session.user_id or "",
            impersonation=impersonation.id,
        )  # fmt: skip


def running_impersonation(session: LoginSession) -> Impersonation | None:
    """Return the running impersonation of this session, if the member of staff still has the permission; None otherwise."""
    row = Impersonation.objects.running_in(session, timezone.now()) if settings.IMPERSONATION_ENABLED else None
    if row is None or row.staff_session.user is None:
        return None
    needed = StaffPermission.IMPERSONATE_WRITE if row.may_write else StaffPermission.IMPERSONATE
    return row if needed in permissions_of(row.staff_session.user) else None


def record_request(impersonation: Impersonation, *, method: str, route: str, status: int) -> None:
    """Record one audit event for each request in a customer's name."""
    customer = impersonation.session.user_id or ""
    record(
        "impersonation.request", actor=impersonation.staff_session.user_id or "", act_as=customer, target=customer,
        reason=impersonation.reason, impersonation=impersonation.id, method=method, route=route, status=status,
    )  # fmt: skip
