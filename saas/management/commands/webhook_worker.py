"""``manage.py webhook_worker --poll``: act on webhook events without any broker."""

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
from saas.workers.worker_processes import heartbeat_thread, task_progress, terminate_process

SWEEP_EVERY_SECONDS = 5.0
DELETE_EVERY_SECONDS = 600.0


class Command(BaseCommand):
    help = (
        "Process webhook events by looking at the table: with no broker at all, or beside workers whose broker is away."
    )

    _stopping = False
    _deleted_at = float("-inf")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--poll", action="store_true", help="Look until told to stop.")
        parser.add_argument("--once", action="store_true", help="Act on what is due now, then stop.")
        parser.add_argument("--every", type=float, default=0.5, help="Seconds between two looks (0.5).")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self._sweep()
        elif options["poll"]:
            self._poll(options["every"])
        else:
            raise CommandError("Say --poll or --once.")

    def _poll(self, every_seconds: float) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self.stdout.write(f"Looking at webhook events every {every_seconds:g} s.")
        self._deleted_at = time.monotonic()
        swept_at = float("-inf")
        heartbeat_thread.start()
        while not self._stopping:
            is_time = time.monotonic() - swept_at >= SWEEP_EVERY_SECONDS
            if self._process_due(sweep=is_time) and is_time:
                swept_at = time.monotonic()
            time.sleep(every_seconds)
        heartbeat_thread.stop()

    def _process_due(self, *, sweep: bool) -> bool:
        """False if the database is away: it will be asked again, by another process if this one finds it away each time."""
        task_progress.task_started(self)
        try:
            self._sweep() if sweep else event_worker.drain(SWEEP_EVERY_SECONDS)
        except Error as error:
            self.stderr.write(f"The database is away: {type(error).__name__}")
            connections.discard_connections()
            task_progress.task_ended(self, error)
            if task_progress.must_terminate:
                terminate_process()
            return False
        task_progress.task_ended(self)
        connections.discard_irregular_connections()
        return True

    def _sweep(self) -> None:
        """Events, the mails that alerts and handlers have written, and what is past its time: without a broker nobody
        else sees to those."""
        tasks.sweep()
        mail_tasks.sweep()
        if time.monotonic() - self._deleted_at >= DELETE_EVERY_SECONDS:
            self._deleted_at = time.monotonic()
            tasks.delete_expired()

    def _stop(self, *_: Any) -> None:
        """The event being worked on is finished first."""
        self._stopping = True
