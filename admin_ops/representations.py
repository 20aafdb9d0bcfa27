"""Rows as the plain dictionaries that go out to staff. ``serializers.py`` documents them."""

from typing import Any

from saas.accounts import second_factor
from saas.accounts.models import Impersonation, LoginSession, OAuthIdentity, Role, User, UserNote
from saas.accounts.sessions.logins import Login
from saas.accounts.staff.staff_roles import permissions_of_roles, roles_of
from saas.api.accounts.serializers import LoginShape, UserShape
from saas.api.representation import represent
from saas.audit.models import AuditEvent
from saas.audit.verification import VerificationResult
from saas.billing.models import EntitlementOverride, Invoice, Subscription
from saas.mail.models import Mail
from saas.teams.models import Membership
from saas.webhook_events.models import WebhookEvent


def staff_login(login: Login) -> dict[str, Any]:
    """``role`` is the highest one; null for somebody who holds none yet."""
    owed = second_factor.is_enrolment_required(login.session)
    return {**represent(LoginShape, login), **_roles(roles_of(login.user)), "mfa_enrolment_required": owed}


def staff_me(user: User, roles: list[Role]) -> dict[str, Any]:
    return {"user": represent(UserShape, user), **_roles(roles), "permissions": sorted(permissions_of_roles(roles))}


def _roles(roles: list[Role]) -> dict[str, Any]:
    return {"role": roles[0].value if roles else None, "roles": [role.value for role in roles]}


def user(row: User) -> dict[str, Any]:
    """What staff see of an account beyond what its owner does."""
    return {
        **represent(UserShape, row),
        "is_staff": row.is_staff,
        "status_reason": row.status_reason,
        "last_login_at": row.last_login,
    }


def session(row: LoginSession) -> dict[str, Any]:
    return {
        "id": row.sid,
        "audience": row.audience,
        "methods": row.methods.split(),
        "agent": row.agent,
        "address": row.address,
        "created_at": row.created_at,
        "last_seen_at": row.last_seen_at,
    }


def identity(row: OAuthIdentity) -> dict[str, Any]:
    return {
        "provider": row.provider,
        "email": row.email,
        "linked_at": row.created_at,
        "last_login_at": row.last_login_at,
    }


def team(row: Membership) -> dict[str, Any]:
    return {
        "id": row.team_id,
        "name": row.team.name,
        "role": row.role,
        "owner_user_id": row.team.owner_id,
        "joined_at": row.created_at,
    }


def subscription(row: Subscription) -> dict[str, Any]:
    """``row`` comes ``with_customer()``."""
    owner = row.customer.user
    return {
        "id": row.id,
        "user_id": owner.id if owner else None,
        "team_id": row.customer.team_id,
        "email": owner.email if owner else row.customer.email,
        "plan": {"id": row.plan.id, "name": row.plan.name} if row.plan else None,
        "plan_is_known": not row.has_unknown_plan,
        "status": row.status,
        "price_monthly": row.monthly.units,
        "currency": row.currency,
        "quantity": row.quantity,
        "current_period_end": row.current_period_end,
        "cancel_at_period_end": row.ends_with_period,
        "cancel_at": row.ends_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "trial_end": row.trial_end,
        "external_id": row.external_id,
    }


def override(row: EntitlementOverride) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "key": row.plan_id or row.key,
        "value": row.value,
        "reason": row.reason,
        "by": row.created_by.email if row.created_by else None,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "ended_at": row.ended_at,
    }


def invoice(row: Invoice) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "status": row.status,
        "total": row.total.units,
        "currency": row.currency,
        "issued_at": row.issued_at,
        "paid_at": row.paid_at,
    }


def webhook_event(row: WebhookEvent) -> dict[str, Any]:
    return {
        "event_id": row.external_id,
        "event_type": row.type,
        "status": row.status,
        "received_at": row.received_at,
        "last_error": row.last_error,
    }


def mail(row: Mail) -> dict[str, Any]:
    """Without what was filled in: a link in a mail opens a door."""
    return {
        "id": row.pk,
        "template": row.template,
        "status": row.status,
        "created_at": row.created_at,
        "sent_at": row.sent_at,
    }


def note(row: UserNote) -> dict[str, Any]:
    return {"id": row.pk, "text": row.text, "author": row.author.email, "created_at": row.created_at}


def started(row: Impersonation, token: str) -> dict[str, Any]:
    return {"impersonation_id": row.id, "access_token": token, "token_type": "bearer", "expires_at": row.ends_at}


def impersonation(row: Impersonation) -> dict[str, Any]:
    """``row`` comes ``listed()``."""
    staff, customer = row.staff_session.user, row.session.user
    return {
        "id": row.id,
        "by": staff.email if staff else None,
        "user_id": row.session.user_id,
        "email": customer.email if customer else None,
        "reason": row.reason,
        "ticket": row.ticket,
        "write": row.may_write,
        "started_at": row.started_at,
        "expires_at": row.ends_at,
        "ended_at": row.ended_at,
    }


def audit_event(row: AuditEvent) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at,
        "actor": row.actor,
        "act_as": row.act_as,
        "action": row.action,
        "target": row.target,
        "reason": row.reason,
        "address": row.address,
        "request_id": row.request_id,
        "details": row.data,
    }


def verdict(row: VerificationResult) -> dict[str, Any]:
    return {
        "status": "broken" if row.faults else "ok",
        "verified": row.verified,
        "waiting": row.waiting,
        "head": str(row.head) if row.head else None,
        "faults": row.faults,
    }
