"""The background tasks of teams."""

from celery import shared_task
from django.conf import settings

from saas.background_tasks import notify_workers
from saas.teams import seat_billing
from saas.teams.models import Team


@shared_task
def update_team_seats(team_id: str) -> None:
    """A membership has begun or ended."""
    if team := Team.objects.live().filter(pk=team_id).select_related("owner").first():
        seat_billing.update_seats(team)


def notify_seats_changed(team_id: str) -> None:
    """Have the seats compared with the members, once this transaction is committed."""
    if settings.BILLING:
        notify_workers(update_team_seats, team_id)


@shared_task
def update_all_seats() -> None:
    """The sweep of beat."""
    seat_billing.update_all_seats()
