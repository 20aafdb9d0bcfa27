"""Filters of the admin site's templates."""

from datetime import datetime
from typing import Any

from django import template
from django.urls import reverse
from django.utils import timezone

from admin_ops import status_colors
from saas.money import Money
from saas.webhook_events.models import WebhookAttempt

register = template.Library()

register.filter(status_colors.status_color)
register.filter(status_colors.humanize)


@register.filter
def row_url(link: tuple[str, Any]) -> str:
    """The address of a row's admin page: ``("billing_invoice", "inv_…")``."""
    table, pk = link
    return reverse(f"admin:{table}_change", args=[pk])


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
