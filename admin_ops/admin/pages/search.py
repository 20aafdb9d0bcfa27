"""What the search fields find (Ctrl-K, and on the dashboard): people, teams, webhook events and tables.

Unfold's own search remembers what it found for minutes, and in lower case, in which no id of a payment provider is found.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from admin_ops.actions.impersonations import IMPERSONATE
from admin_ops.admin.menu import menu_name
from admin_ops.admin.permissions import request_permissions
from admin_ops.event_sentences import event_sentence
from admin_ops.offers import OfferedAction, offer_of
from admin_ops.queries import search_users
from saas.accounts.staff.staff_roles import StaffPermission
from saas.teams.models import Team
from saas.text_normalization import search_variants
from saas.webhook_events.models import WebhookEvent

SHOWN = 8
MAX_LENGTH = 100


@dataclass(frozen=True)
class Found:
    """``offer`` is what is done most often with a row of its kind, beside the link to its page."""

    title: str
    description: str
    link: str
    icon: str
    offer: OfferedAction | None = None


def search_page(request: HttpRequest, site_context: dict[str, Any], apps: Sequence[dict[str, Any]]) -> HttpResponse:
    """A whole page, or the results alone for the search fields, which ask with HTMX.

    ``apps`` are those of the admin site that the member of staff may see, with their tables.
    """
    term = request.GET.get("q", "").strip()[:MAX_LENGTH]
    results = [*_search(request, term), *_tables(apps, term.lower())] if term else []
    found = {"results": results, "term": term}
    if "HX-Request" in request.headers:
        return TemplateResponse(request, "unfold/helpers/command_results.html", found, headers={"HX-Trigger": "search"})
    page = {**site_context, "title": "Search", **found, "shown": SHOWN, "people": _people_page(request, term)}
    return TemplateResponse(request, "admin_ops/search.html", page)


def _people_page(request: HttpRequest, term: str) -> str:
    """The list of all people who match; empty without a term, and for staff who may not read users."""
    is_shown = bool(term) and StaffPermission.READ_USERS in request_permissions(request)
    return f"{reverse('admin:accounts_user_changelist')}?{urlencode({'q': term})}" if is_shown else ""


def _tables(apps: Sequence[dict[str, Any]], term: str) -> list[Found]:
    """Those whose name, as the menu has it, contains the term."""
    found = []
    for app in apps:
        for table in app["models"]:
            options = table["model"]._meta
            name = menu_name(f"{options.app_label}_{options.model_name}") or str(table["name"])
            if term in name.lower():
                found.append(Found(name, "List", table["admin_url"], "table_rows"))
    return found


def _search(request: HttpRequest, term: str) -> list[Found]:
    """At most ``SHOWN`` of each."""
    permissions = request_permissions(request)
    users = search_users(search=term).order_by("-pk")[:SHOWN] if StaffPermission.READ_USERS in permissions else ()
    teams = _teams(term) if StaffPermission.READ_USERS in permissions and settings.TEAMS else ()
    events = (
        WebhookEvent.objects.by_external_ids([term])[:SHOWN] if StaffPermission.READ_WEBHOOKS in permissions else ()
    )
    return [
        *(
            Found(
                title=user.email,
                description=f"{user.full_name or 'No name'} · {user.status}",
                link=reverse("admin:accounts_user_change", args=[user.pk]),
                icon="person",
                offer=offer_of(user, IMPERSONATE, permissions),
            )
            for user in users
        ),
        *(
            Found(
                title=team.name,
                description=f"Team of {team.owner.email}",
                link=reverse("admin:teams_team_change", args=[team.pk]),
                icon="groups",
            )
            for team in teams
        ),
        *(
            Found(
                title=event_sentence(event.type),
                description=f"{event.type} · {event.external_id} · {event.status}",
                link=reverse("admin:webhook_events_webhookevent_change", args=[event.pk]),
                icon="webhook",
            )
            for event in events
        ),
    ]


def _teams(term: str) -> Iterable[Team]:
    """By the beginning of the name, in every form of Unicode, or by the id."""
    matches = reduce(or_, (Q(name__istartswith=form) for form in search_variants(term)), Q(pk=term))
    return Team.objects.live().filter(matches).select_related("owner").order_by("-pk")[:SHOWN]
