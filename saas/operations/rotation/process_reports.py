"""Each process reports the fingerprints of the secrets that it accepts, so that ``manage.py rotate`` knows them all."""

import logging
import threading
import time
from datetime import datetime, timedelta

from django.db import connections
from django.db.models.functions import Now

from saas.database.clock import database_now
from saas.database.pool_metrics import record_pool
from saas.operations.models import ProcessSecrets, SignedSecret
from saas.operations.processes import process_name
from saas.operations.rotation.rotating_secrets import rotating_secrets

logger = logging.getLogger(__name__)

REPORT_SECONDS = 10.0
RUNNING_FOR = timedelta(seconds=60)  # since its last report a process counts as running
DELETED_AFTER = timedelta(minutes=10)


def report_secrets(role: str) -> None:
    """Record what this process accepts, and what it signs with. ``role``: a service, ``worker`` or ``beat``."""
    accepted = {name: secret.fingerprints() for name, secret in rotating_secrets().items()}
    ProcessSecrets.objects.update_or_create(
        name=process_name(), defaults={"role": role, "accepted": accepted, "seen_at": Now()}
    )
    for name, fingerprints in accepted.items():
        if fingerprints:
            SignedSecret.objects.update_or_create(
                secret=name, fingerprint=fingerprints[0], defaults={"last_signed_at": Now()}
            )
    ProcessSecrets.objects.filter(seen_at__lt=Now() - DELETED_AFTER).delete()


def running_processes(now: datetime | None = None) -> list[ProcessSecrets]:
    """Return the processes that have reported within ``RUNNING_FOR``, by role and name."""
    since = (now or database_now()) - RUNNING_FOR
    return list(ProcessSecrets.objects.filter(seen_at__gte=since).order_by("role", "name"))


def report_permanently(role: str) -> None:
    """Report now and then, also the state of the connection pool, from a thread of this process until it ends."""
    threading.Thread(target=_report_for_ever, args=[role], name="secret-reports", daemon=True).start()


def _report_for_ever(role: str) -> None:
    while True:
        try:
            record_pool()
            report_secrets(role)
        except Exception as error:  # the next one may succeed
            logger.warning("secret_report_failed: %s", error)
        finally:
            connections.close_all()
        time.sleep(REPORT_SECONDS)
