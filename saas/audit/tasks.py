"""Periodic tasks of the audit trail's hash chain."""

from celery import shared_task

from saas.audit import hash_chain


@shared_task(name="saas.audit.tasks.seal")  # the names in messages of older releases
def extend_chain() -> None:
    hash_chain.extend_chain()


@shared_task(name="saas.audit.tasks.anchor")
def log_chain_head() -> None:
    hash_chain.log_chain_head()
