"""Erase what a person left beside the audit trail: the events and their digests stay."""

from collections.abc import Callable, Collection, Iterable
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from saas.audit.actions import SYSTEM, record
from saas.audit.models import AuditEvent, AuditPersonalData


def find_quoting_events(parts: Iterable[str], mentions: Callable[[str], bool]) -> set[int]:
    """The events whose reason holds one of ``parts``, in any case, and of which ``mentions`` says yes."""
    found = AuditPersonalData.objects.filter(reduce(or_, (Q(reason__icontains=part) for part in parts)))
    return {pk for pk, reason in found.values_list("pk", "reason") if mentions(reason)}


def record_erasure(
    action: str, *, person: str, objects: Collection[str] = (), quoting: Collection[int] = frozenset()
) -> None:
    """Erase the addresses from which a person acted and the reasons about them, and record that as ``action``.

    ``objects`` are the ids of what was theirs, such as sessions, ``quoting`` further events whose reasons go. The address
    of a member of staff stays. The record names the events that the person is not in: to ``audit_verify`` they may lack
    their values.
    """
    own = {person, *objects}
    about = _is_any(("event__actor", "event__act_as", "event__target"), own)
    rows = AuditPersonalData.objects.filter(about | Q(pk__in=quoting))
    ids = set(rows.values_list("pk", flat=True))
    rows.filter(event__actor__in={*own, SYSTEM}).filter(about).update(address="", address_salt="")
    rows.update(reason="", reason_salt="")
    naming = set(AuditEvent.objects.involving(person).values_list("pk", flat=True))
    elsewhere: dict[str, Any] = {"audit_events": sorted(ids - naming)} if ids - naming else {}
    record(action, target=person, **elsewhere)


def _is_any(fields: Collection[str], ids: Collection[str]) -> Q:
    return reduce(or_, (Q(**{f"{field}__in": ids}) for field in fields))
