"""Background tasks of accounts. Their names are those by which messages in flight and the schedule call them."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from saas.accounts.models import ResetRequest
from saas.accounts.passwords import password_reset_mails
from saas.accounts.privacy import erasure

SWEEP_AFTER = timedelta(seconds=10)
SWEEP_SIZE = 100


@shared_task
def answer_reset_request(request_id: int) -> None:
    password_reset_mails.handle_reset_request(request_id)


@shared_task
def sweep() -> None:
    """Handle the reset requests whose task was lost."""
    waiting = ResetRequest.objects.filter(handled_at=None, created_at__lt=timezone.now() - SWEEP_AFTER)
    for request_id in list(waiting.order_by("created_at").values_list("pk", flat=True)[:SWEEP_SIZE]):
        answer_reset_request(request_id)


@shared_task
def tidy() -> None:
    """Erase accounts whose deletion is due."""
    erasure.erase_due_accounts()
