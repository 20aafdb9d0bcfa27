"""Filters of the admin site's templates."""

from datetime import datetime
from typing import Any

from django import template
from django.contrib.admin.sites import all_sites
from django.db.models import Model
from django.urls import resolve, reverse
from django.utils import timezone

from admin_ops import status_colors
from admin_ops.admin.menu import menu_name
from admin_ops.event_sentences import event_sentence
from admin_ops.offers import address_key
from saas.money import Money
from saas.teams.roles import ROLES_BY_PERMISSION, Permission
from saas.webhook_events.models import WebhookAttempt

register = template.Library()

_ABILITIES = {
    Permission.MANAGE_BILLING: "pay",
    Permission.TRANSFER_TEAM: "hand over",
    Permission.MANAGE_MEMBERS: "manage members",
    Permission.MANAGE_API_KEYS: "manage keys",
    Permission.VIEW_API_KEYS: "see keys",
}

register.filter(status_colors.status_color)
register.filter(status_colors.humanize)
register.filter(event_sentence)


@register.filter
def row_url(link: tuple[str, Any]) -> str:
    """The address of a row's admin page: ``("billing_invoice", "inv_…")``."""
    table, pk = link
    return reverse(f"admin:{table}_change", args=[address_key(pk)])


@register.filter
def crumb_title(part: dict[str, Any]) -> Any:
    """The title of a part of the path above a page: a list's as the menu calls it."""
    link = str(part.get("link", ""))
    table = (resolve(link).url_name or "").removesuffix("_changelist") if link else ""
    return menu_name(table) or part["title"]


@register.filter
def row_heading(row: Any) -> str:
    """What a row is called on its page."""
    model = type(row) if isinstance(row, Model) else Model
    tables = (site.get_model_admin(model) for site in all_sites if site.is_registered(model))
    return next((str(table.heading(row)) for table in tables if hasattr(table, "heading")), str(row))


@register.filter
def role_summary(role: str) -> str:
    """What a role in a team allows, in a few words, from the table of ``saas.teams.roles``."""
    may = [words for permission, words in _ABILITIES.items() if role in ROLES_BY_PERMISSION[permission]]
    return ", ".join(may) or "look on"


@register.filter
def ago(at: datetime | None) -> str:
    """``3 min ago``; templates put the exact time into the title."""
    if at is None:
        return "never"
    seconds = int((timezone.now() - at).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds // size} {unit} ago" if seconds > 0 else f"in {-seconds // size} {unit}"
    return "just now"


@register.filter
def duration(attempt: WebhookAttempt) -> str:
    if attempt.finished_at is None:
        return "–"
    return f"{(attempt.finished_at - attempt.started_at).total_seconds() * 1000:,.0f} ms"


@register.filter
def amount(units: float, currency: str) -> str:
    """Whole units of a currency, decimals only where there are any."""
    return Money.from_units(units, currency).short()
