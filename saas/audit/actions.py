"""Writing the audit trail."""

import secrets
from collections.abc import Iterable
from uuid import uuid4

from django.db import transaction

from saas import request_context
from saas.audit.models import AuditEvent, AuditPersonalData
from saas.audit.signatures import salted_digest, sign_event
from saas.errors import Invalid

SYSTEM = "system"
SALT_BYTES = 16
LONGEST_REASON = 500  # what ``AuditPersonalData`` stores


def require_reason(reason: str) -> str:
    """The reason that a member of staff gives, as it is stored. Raises ``Invalid`` for none."""
    if not (given := reason.strip()[:LONGEST_REASON]):
        raise Invalid(errors={"reason": ["Say why."]})
    return given


def record(
    action: str, *, actor: str = SYSTEM, target: str = "", act_as: str = "", reason: str = "", **data: object
) -> None:
    """Store an audit event in the caller's transaction, so that it commits together with what it records.

    During an impersonation the actor is the member of staff, and ``act_as`` the customer. The event is signed; ``reason``
    and the caller's address stand beside it, where they can be erased.

    ``data`` holds ids, counts and names of fields: never a secret, never a value that a person typed.
    """
    impersonator = request_context.current().impersonator
    if impersonator and actor != impersonator:
        actor, act_as = impersonator, actor
    _store([AuditEvent(action=action, actor=actor, act_as=act_as, target=target, data=data)], reason)


def record_many(action: str, *, targets: Iterable[str], actor: str = SYSTEM) -> None:
    """Store the same audit event about each of many targets, in the caller's transaction."""
    _store([AuditEvent(action=action, actor=actor, target=target, data={}) for target in targets])


@transaction.atomic(savepoint=False)
def _store(events: list[AuditEvent], reason: str = "") -> None:
    """Sign the events and insert them, with the values beside them."""
    now = request_context.current()
    personal = [_personal_data(now.address, reason) for _ in events]
    for event, values in zip(events, personal, strict=True):
        event.request_id = now.request_id
        event.address_digest = salted_digest(values.address, values.address_salt)
        event.reason_digest = salted_digest(values.reason, values.reason_salt)
        event.nonce = uuid4()
        event.signature = sign_event(event)
    for event, values in zip(AuditEvent.objects.bulk_create(events), personal, strict=True):
        values.event_id = event.pk
    AuditPersonalData.objects.bulk_create(values for values in personal if values.address or values.reason)


def _personal_data(address: str, reason: str) -> AuditPersonalData:
    return AuditPersonalData(
        address=address,
        address_salt=secrets.token_hex(SALT_BYTES),
        reason=reason,
        reason_salt=secrets.token_hex(SALT_BYTES),
    )
