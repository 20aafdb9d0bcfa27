"""Writing the audit trail."""

from saas import request_context
from saas.audit.models import AuditEvent

SYSTEM = "system"


def record(
    action: str, *, actor: str = SYSTEM, target: str = "", act_as: str = "", reason: str = "", **data: object
) -> None:
    """Note what happened, in the transaction of what happened: the two are stored together or not at all.

    While somebody is impersonated, whatever is done in her name is told as done by the member of staff.

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
