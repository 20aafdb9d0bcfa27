"""The search field of the sidebar (Ctrl-K): users, teams and webhook events."""

from collections.abc import Iterable

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from admin_ops.admin.permissions import request_permissions
from admin_ops.queries import search_users
from saas.accounts.staff.staff_roles import StaffPermission
from saas.teams.models import Team
from saas.webhook_events.models import WebhookEvent

SHOWN = 8
MAX_LENGTH = 100


def search(request: HttpRequest, term: str) -> list[SearchResult]:
    """At most ``SHOWN`` of each."""
    permissions, term = request_permissions(request), term.strip()[:MAX_LENGTH]
    users = search_users(search=term).order_by("-pk")[:SHOWN] if StaffPermission.READ_USERS in permissions else ()
    teams = _teams(term) if StaffPermission.READ_USERS in permissions and settings.TEAMS else ()
    events = (
        WebhookEvent.objects.by_external_ids([term])[:SHOWN] if StaffPermission.READ_WEBHOOKS in permissions else ()
    )
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
                title=team.name,
                description=f"Team of {team.owner.email}",
                link=reverse("admin:teams_team_change", args=[team.pk]),
                icon="groups",
            )
            for team in teams
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


def _teams(term: str) -> Iterable[Team]:
    """By the beginning of the name, or by the id."""
    found = Team.objects.live().filter(Q(name__istartswith=term) | Q(pk=term)) if term else Team.objects.none()
    return found.select_related("owner").order_by("-pk")[:SHOWN]
