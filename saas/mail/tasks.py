"""Sending what was posted."""

from celery import shared_task

from saas.mail import delivery


@shared_task
def deliver(mail_id: int) -> None:
    delivery.deliver_mail(mail_id)


@shared_task
def sweep() -> None:
    """Find mails whose doorbell was lost, and those whose next attempt has come."""
    for mail_id in delivery.due_mail_ids():
        delivery.deliver_mail(mail_id)
