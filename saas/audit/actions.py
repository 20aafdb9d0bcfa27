"""Writing the audit trail."""

from saas import request_context
from saas.audit.models import AuditEvent

SYSTEM = "system"


def record(
    action: str, *, actor: str = SYSTEM, target: str = "", act_as: str = "", reason: str = "", **data: object
) -> None:
    """Store an audit event in the caller's transaction, so that it commits together with what it records.

    During an impersonation the actor is the member of staff, and ``act_as`` the customer.

    ``data`` holds ids, counts and names of fields: never a secret, never a value that a person typed.
    """
    now = request_context.current()
    if now.impersonator and actor != now.impersonator:
        actor, act_as = now.impersonator, actor
    AuditEvent.objects.create(
        action=action,
        actor=actor,
        act_as=act_as,
        target=target,
        reason=reason,
        data=data,
        address=now.address,
        request_id=now.request_id,
    )
