"""``manage.py webhook_worker --poll``: process webhook events without a broker."""

import signal
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from saas.database import connections
from saas.mail import tasks as mail_tasks
from saas.webhook_events import tasks
from saas.webhook_events.processing import event_worker
from saas.workers.worker_processes import heartbeat_thread, lower_priority, task_progress, terminate_process

SWEEP_EVERY_SECONDS = 5.0
DELETE_EVERY_SECONDS = 600.0


class Command(BaseCommand):
    help = (
        "Process webhook events by polling the database: without a broker, or while the workers' broker is unavailable."
    )

    _stopping = False
    _deleted_at = float("-inf")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--poll", action="store_true", help="Run until it is stopped.")
        parser.add_argument("--once", action="store_true", help="Process what is due now, then exit.")
        parser.add_argument("--every", type=float, default=0.5, help="Seconds between two polls (0.5).")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self._sweep()
            return
        if not options["poll"]:
            raise CommandError("Give --poll or --once.")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.stdout.write(f"Polling webhook events every {options['every']:g} s.")
        self._deleted_at = time.monotonic()
        swept_at = float("-inf")
        lower_priority()
        heartbeat_thread.start()
        while not self._stopping:
            is_time = time.monotonic() - swept_at >= SWEEP_EVERY_SECONDS
            if self._process_due(sweep=is_time) and is_time:
                swept_at = time.monotonic()
            time.sleep(options["every"])
        heartbeat_thread.stop()

    def _process_due(self, *, sweep: bool) -> bool:
        """Return False if the database is unavailable. The next poll tries again, in a new process after repeated failures."""
        task_progress.task_started(self)
        try:
            self._sweep() if sweep else event_worker.drain(SWEEP_EVERY_SECONDS)
        except Error as error:
            self.stderr.write(f"The database is unavailable: {type(error).__name__}")
            connections.discard_connections()
            task_progress.task_ended(self, error)
            if task_progress.must_terminate:
                terminate_process()
            return False
        task_progress.task_ended(self)
        connections.discard_irregular_connections()
        return True

    def _sweep(self) -> None:
        """Process events, send queued mails and delete expired rows: without a broker no other process does."""
        tasks.sweep()
        mail_tasks.sweep()
        if time.monotonic() - self._deleted_at >= DELETE_EVERY_SECONDS:
            self._deleted_at = time.monotonic()
            tasks.delete_expired()

    def _stop(self, *_: Any) -> None:
        """Let the current event finish first."""
        self._stopping = True
