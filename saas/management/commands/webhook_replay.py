"""``manage.py webhook_replay``: process events once more, from a terminal."""

import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from saas.errors import DomainError
from saas.management.terminal import console, progress
from saas.webhook_events import actions, replays
from saas.webhook_events.models import ReplayBatch, WebhookEvent

ACTOR = "command-line"
POLL_EVERY_SECONDS = 0.5
_CONDITIONS = ("status", "type", "search", "since", "until")


class Command(BaseCommand):
    help = "Replay events by id, or all that match, with their original bytes and without asking the provider."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("event_id", nargs="*")
        parser.add_argument("--status", choices=WebhookEvent.Status.values)
        parser.add_argument("--type", help="Exact, or with * at the end.")
        parser.add_argument("--search", help="An event id, an object id, or a part of the type.")
        parser.add_argument("--since", type=_moment, help="Received at or after: 2026-01-31T12:00:00Z.")
        parser.add_argument("--until", type=_moment, help="Received before.")
        parser.add_argument("--reason", default="", help="For the audit trail.")
        parser.add_argument("--dry-run", action="store_true", help="Only print which events would be replayed.")
        parser.add_argument(
            "--wait", action="store_true", help="Wait until the bulk replay has ended, and show its progress."
        )
        parser.add_argument("--cancel", metavar="BATCH", help="Stop a bulk replay.")

    def handle(self, *args: Any, **options: Any) -> None:
        conditions = {name: options[name] for name in _CONDITIONS if options.get(name)}
        wishes = [bool(conditions), bool(options["event_id"]), bool(options["cancel"])]
        if sum(wishes) != 1:
            raise CommandError("Give event ids, or conditions, or --cancel.")
        try:
            if options["cancel"]:
                batch = actions.cancel_bulk_replay(options["cancel"], by=ACTOR)
                self.stdout.write(f"{batch.pk} is canceled; {batch.replayed} of {batch.matched} had been replayed.")
            elif options["dry_run"]:
                self._preview(options["event_id"], conditions)
            elif conditions:
                self._replay_many(conditions, options)
            else:
                for event_id in options["event_id"]:
                    event = actions.replay_event(event_id, by=ACTOR, reason=options["reason"])
                    self.stdout.write(f"{event_id} runs once more (replay {event.replay_count}).")
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _replay_many(self, conditions: dict[str, Any], options: dict[str, Any]) -> None:
        batch = actions.start_bulk_replay(conditions, by=ACTOR, reason=options["reason"])
        self.stdout.write(f"{batch.pk}: {batch.matched} events run once more, behind live traffic.")
        if not options["wait"]:
            return
        out = console(cast(TextIO, self.stdout._out), no_color=options["no_color"], force_color=options["force_color"])
        with progress(out) as bar:  # Ctrl-C ends this command, not the replay
            task = bar.add_task(batch.pk, total=batch.matched)
            while batch.state == ReplayBatch.State.RUNNING:
                time.sleep(POLL_EVERY_SECONDS)
                batch.refresh_from_db()
                bar.update(task, completed=batch.replayed + len(batch.skipped))
        self.stdout.write(f"{batch.pk} is {batch.state}: {batch.replayed} replayed, {len(batch.skipped)} skipped.")

    def _preview(self, event_ids: list[str], conditions: dict[str, Any]) -> None:
        if event_ids:
            self.stdout.write(f"{WebhookEvent.objects.by_external_ids(event_ids).count()} events would run once more.")
            return
        found = replays.preview_replay(conditions)
        self.stdout.write(f"{found.matching} events would run once more; {found.in_flight} are being worked on.")
        for row in found.samples:
            self.stdout.write(f"  {row.external_id}  {row.type}  {row.status}")


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError("write it as 2026-01-31T12:00:00Z")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
