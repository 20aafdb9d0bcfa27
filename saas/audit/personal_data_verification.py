"""Verification of the values that stand beside the events: are they those whose digests were signed?

They may be missing only where one of the event's people was erased, or quoted in the reason: a signed event says so.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from saas.audit import signatures
from saas.audit.models import AuditEvent, AuditPersonalData

ERASURES = ("user.erased", "user.disowned")


class _Erasures(NamedTuple):
    people: set[str]
    events: set[int]  # that do not name the person, but quote them or were about something of theirs


class PersonalDataVerifier:
    def faults(self, event: AuditEvent) -> Iterator[str]:
        """Yield a sentence for each value that is not the signed one."""
        stored = getattr(event, "personal_data", None) or AuditPersonalData()
        values = {
            "address": (stored.address, stored.address_salt, event.address_digest),
            "reason": (stored.reason, stored.reason_salt, event.reason_digest),
        }
        for name, (value, salt, digest) in values.items():
            if not value and digest and not self._may_be_erased(event):
                yield f"The {name} of event {event.pk} is gone, and no person that it names was erased."
            elif value and signatures.salted_digest(value, salt) != digest:
                yield f"The {name} of event {event.pk} is not what it was."

    def _may_be_erased(self, event: AuditEvent) -> bool:
        people, events = self._erasures
        return event.pk in events or not people.isdisjoint({event.actor, event.act_as, event.target})

    @cached_property
    def _erasures(self) -> _Erasures:
        found = _Erasures(set(), set())
        for erasure in AuditEvent.objects.filter(action__in=ERASURES).iterator():
            if signatures.is_our_event(erasure):
                found.people.add(erasure.target)
                found.events.update(erasure.data.get("audit_events", []))
        return found
