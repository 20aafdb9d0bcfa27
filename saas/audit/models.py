"""The audit trail: who did what to whom. Events and seals are only ever added; personal values can be erased."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def for_target(self, target: str) -> AuditEventQuerySet:
        """The audit events of one object, by its id."""
        return self.filter(target=target)

    def involving(self, person: str) -> AuditEventQuerySet:
        """What a person did, what was done to them, and what was done on their behalf."""
        return self.filter(models.Q(target=person) | models.Q(actor=person) | models.Q(act_as=person))

    def count_impersonated_requests(self, impersonations: Collection[str], *, act_as: str) -> dict[str, int]:
        """How many requests each impersonation made on behalf of ``act_as``, by its id."""
        lines = self.filter(action="impersonation.request", act_as=act_as, data__impersonation__in=impersonations)
        return dict(lines.order_by().values_list("data__impersonation").annotate(models.Count("pk")))

    def matching(
        self,
        *,
        actor: str = "",
        act_as: str = "",
        action: str = "",
        target: str = "",
        request_id: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AuditEventQuerySet:
        """By whole values; what is empty matches everything. ``action`` may end in ``.*``: ``user.*``."""
        wanted: dict[str, object] = {
            "actor": actor, "act_as": act_as, "target": target, "request_id": request_id, "at__gte": since, "at__lt": until,
        }  # fmt: skip
        if action.endswith(".*"):
            wanted["action__startswith"] = action[:-1]
        else:
            wanted["action"] = action
        return self.filter(**{field: value for field, value in wanted.items() if value})

    def in_batches(self, size: int) -> Iterator[AuditEvent]:
        """All events, oldest first, ``size`` in each query: no query takes longer because there are many."""
        last = 0
        while batch := list(self.filter(pk__gt=last).order_by("pk")[:size]):
            yield from batch
            last = batch[-1].pk

    def unsealed(self) -> AuditEventQuerySet:
        """Not in the hash chain yet."""
        return self.filter(seal=None)

    def update(self, **kwargs: Any) -> int:
        raise TypeError("Audit events are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events are never deleted.")


class AuditEventManager(models.Manager.from_queryset(AuditEventQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> AuditEventQuerySet:
        """With ``reason`` and ``address``, wherever they are stored; empty where they were erased."""
        rows: AuditEventQuerySet = super().get_queryset()
        return rows.annotate(  # type: ignore[no-redef]
            reason=Coalesce("personal_data__reason", "plain_reason"),
            address=Coalesce("personal_data__address", "plain_address"),
        )


class AuditEvent(models.Model):
    """``actor`` and ``target`` are public ids (``usr_…``, ``team_…``) or ``system``: no foreign key, so that the trail
    outlives the objects.

    ``signature`` covers every other column but the id (``signatures``). It is empty in events that were written before
    there were signatures; only these hold reason and address themselves. The others hold salted digests of both.
    """

    reason: str = ""  # the manager's annotations
    address: str = ""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=64, db_index=True)
    act_as = models.CharField(max_length=64, blank=True)  # on whose behalf: the customer who is impersonated
    action = models.CharField(max_length=64, db_index=True)  # object.verb: "user.banned"
    target = models.CharField(max_length=64, blank=True, db_index=True)
    plain_reason = models.CharField(max_length=500, blank=True, db_column="reason")
    plain_address = models.CharField(max_length=45, blank=True, db_column="address")
    request_id = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)
    reason_digest = models.CharField(max_length=64, blank=True, db_default="")
    address_digest = models.CharField(max_length=64, blank=True, db_default="")
    nonce = models.UUIDField(null=True, unique=True)  # a copy of an event would repeat it
    signature = models.CharField(max_length=64, blank=True, db_default="")

    objects = AuditEventManager()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["act_as"], condition=~models.Q(act_as=""), name="audit_events_on_behalf"),
            models.Index(fields=["request_id"], condition=~models.Q(request_id=""), name="audit_events_of_request"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("Audit events are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("Audit events are never deleted.")


class AuditPersonalData(models.Model):
    """The values behind an event's digests, in a table of their own, so that they can be erased.

    Each digest is ``signatures.salted_digest`` of value and salt. The salt goes with the value: without it the digest of
    an address could be guessed.
    """

    event = models.OneToOneField(
        AuditEvent, models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="personal_data"
    )
    address = models.CharField(max_length=45, blank=True)
    address_salt = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    reason_salt = models.CharField(max_length=32, blank=True)

    def __str__(self) -> str:
        return f"of event {self.event_id}"


class AuditSeal(models.Model):
    """One link of the hash chain. ``digest`` covers the event and the digest of the previous link, so that a later change or
    removal of an event is found; ``signature`` shows that the link is ours. Links are only ever added."""

    number = models.PositiveBigIntegerField(primary_key=True)  # 1, 2, 3 …: two concurrent runs conflict
    event = models.OneToOneField(AuditEvent, models.DO_NOTHING, db_constraint=False, related_name="seal")
    digest = models.CharField(max_length=64)
    sealed_at = models.DateTimeField(default=timezone.now)
    signature = models.CharField(max_length=64, blank=True, db_default="")

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"
