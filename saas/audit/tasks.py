"""Sealing the audit trail, by beat."""

from celery import shared_task

from saas.audit import hash_chain


@shared_task
def seal() -> None:
    hash_chain.seal()


@shared_task
def anchor() -> None:
    hash_chain.anchor()
