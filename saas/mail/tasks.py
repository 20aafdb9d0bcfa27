"""Sending queued mails."""

from celery import shared_task

from saas.mail import delivery


@shared_task
def deliver(mail_id: int) -> None:
    delivery.deliver_mail(mail_id)


@shared_task
def sweep() -> None:
    """Send mails whose message was lost, and those whose next attempt is due."""
    delivery.deliver_due_mails()
