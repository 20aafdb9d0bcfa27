"""Writing down signs of life."""

from django.db.models.functions import Now

from saas.operations.models import Heartbeat


def record_heartbeat(name: str) -> None:
    """Note that ``name`` is alive now, by the database's clock: one that is ahead must not live on after its death."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": Now()})
