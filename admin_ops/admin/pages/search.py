"""The search field of the sidebar (Ctrl-K): users and webhook events."""

from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from admin_ops.admin.permissions import request_permissions
from admin_ops.queries import search_users
from saas.accounts.staff.staff_roles import Permission
from saas.webhook_events.models import WebhookEvent

SHOWN = 8
MAX_LENGTH = 100


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """At most ``SHOWN`` of each."""
    permissions, term = request_permissions(request), term.strip()[:MAX_LENGTH]
    users = search_users(search=term).order_by("-pk")[:SHOWN] if Permission.READ_USERS in permissions else ()
    events = WebhookEvent.objects.by_external_ids([term])[:SHOWN] if Permission.READ_WEBHOOKS in permissions else ()
    return [
        *(
            SearchResult(
                title=user.email,
                description=f"{user.full_name or 'No name'} · {user.status}",
                link=reverse("admin:accounts_user_change", args=[user.pk]),
                icon="person",
            )
            for user in users
        ),
        *(
            SearchResult(
                title=event.type,
                description=f"{event.external_id} · {event.status}",
                link=reverse("admin:webhook_events_webhookevent_change", args=[event.pk]),
                icon="webhook",
            )
            for event in events
        ),
    ]
