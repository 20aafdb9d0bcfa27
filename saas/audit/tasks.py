"""Sealing the audit trail, by beat."""

from celery import shared_task

from saas.audit import sealing


@shared_task
def seal() -> None:
    sealing.seal()


@shared_task
def anchor() -> None:
    sealing.anchor()
