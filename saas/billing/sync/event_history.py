"""The stored events of a provider's object, read from the webhook events."""

import json
from collections.abc import Collection

from django.conf import settings
from django.db.models import BooleanField, Count, Exists, OuterRef
from django.db.models.functions import TruncSecond

from saas.billing.sync.event_order import StoredEvent
from saas.database.prepared_queries import PreparedQuery, QueryParameter, binary_cursor
from saas.security.untrusted_json import as_object
from saas.webhook_events.models import WebhookEvent

_NOT_OURS = [WebhookEvent.Status.IGNORED, WebhookEvent.Status.QUARANTINED]
_OF_OBJECT = PreparedQuery(
    lambda: (
        WebhookEvent.objects.for_object(QueryParameter("object_id"))
        .filter(livemode=QueryParameter("livemode", BooleanField()), account="", payload__isnull=False)
        .exclude(status__in=_NOT_OURS)
        .only("external_id", "type", "provider_created", "source", "payload__body")
    ),
    cursor=binary_cursor,
)


def stored_events(object_id: str, type_prefix: str) -> list[StoredEvent]:
    """The stored events of an object whose type begins with ``type_prefix``, in no order.

    Without those of the other mode, of another account, ignored ones, and those whose payload retention has deleted.
    """
    rows = _OF_OBJECT.fetch_all(object_id=object_id, livemode=settings.STRIPE_LIVEMODE)
    return [event for row in rows if row.type.startswith(type_prefix) and (event := _stored_event(row))]


def stored_events_of_customer(customer_id: str, type_prefix: str) -> list[StoredEvent]:
    """Like ``stored_events``, of all objects that name the customer."""
    rows = WebhookEvent.objects.filter(
        customer_id=customer_id, type__startswith=type_prefix, livemode=settings.STRIPE_LIVEMODE, account=""
    ).exclude(status__in=_NOT_OURS)
    found = rows.filter(payload__isnull=False).select_related("payload").order_by("id")
    return [event for row in found if (event := _stored_event(row))]


def is_local_object(object_id: str) -> bool:
    """Whether an event of the object came from the local provider."""
    return WebhookEvent.objects.filter(object_id=object_id, source=WebhookEvent.Source.LOCAL).exists()


def events_sharing_a_second(event_ids: Collection[int]) -> list[tuple[int, str]]:
    """Of these events, with the ids of their objects, those whose object has several events in some second.

    Creation and deletion do not count: their order is known.
    """
    changes = WebhookEvent.objects.filter(object_id=OuterRef("object_id")).exclude(
        type__regex=r"\.(created|deleted|detached)$"
    )
    crowded = changes.order_by().values(second=TruncSecond("provider_created")).annotate(events=Count("pk"))
    rows = WebhookEvent.objects.filter(Exists(crowded.filter(events__gt=1)), pk__in=event_ids).exclude(object_id="")
    return list(rows.values_list("pk", "object_id"))


def object_ids(type_prefix: str) -> list[str]:
    """The ids of all objects that have events of such types."""
    rows = WebhookEvent.objects.filter(
        type__startswith=type_prefix, livemode=settings.STRIPE_LIVEMODE, account="", payload__isnull=False
    )
    ids = rows.exclude(status__in=_NOT_OURS).exclude(object_id="").values_list("object_id", flat=True)
    return sorted(set(ids))


def has_deleted_payload(object_id: str) -> bool:
    """Whether retention has deleted the payload of an event of the object, and left the receipt."""
    return WebhookEvent.objects.filter(object_id=object_id, payload__isnull=True).exists()


def _stored_event(row: WebhookEvent) -> StoredEvent | None:
    try:
        data = as_object(as_object(json.loads(bytes(row.payload.body))).get("data"))
    except (ValueError, RecursionError):
        return None
    return StoredEvent(
        row.external_id,
        row.type,
        int(row.provider_created.timestamp()),
        as_object(data.get("object")),
        as_object(data.get("previous_attributes")),
        is_fetched=row.source == WebhookEvent.Source.FETCH,
    )
