"""``manage.py webhook_events``: list and follow webhook events in a terminal."""

import time
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.text import Text

from saas.management.terminal import STYLES, console
from saas.webhook_events.models import WebhookEvent, WebhookEventQuerySet

POLL_EVERY_SECONDS = 1.0
STILL_WORKED_ON = 500  # how many of the newest listed are read again for a change of status


class Command(BaseCommand):
    help = "List webhook events, show one, or follow new ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("event_id", nargs="?", help="Show this one: its attempts and its bytes.")
        parser.add_argument("--status", choices=WebhookEvent.Status.values, default="")
        parser.add_argument("--type", default="", help="Exact, or with * at the end.")
        parser.add_argument("--search", default="", help="An event id, an object id, or a part of the type.")
        parser.add_argument("--limit", type=int, default=20, help="How many, newest (20).")
        parser.add_argument("--follow", action="store_true", help="Print new events and changes until Ctrl-C.")

    def handle(self, *args: Any, **options: Any) -> None:
        out = console(cast(TextIO, self.stdout._out), no_color=options["no_color"], force_color=options["force_color"])
        if options["event_id"]:
            return _show(out, options["event_id"])
        rows = WebhookEvent.objects.matching(
            status=options["status"], type=options["type"], search=options["search"]
        ).order_by("-pk")
        newest = list(rows[: max(0, options["limit"])])
        _list(out, reversed(newest))
        if options["follow"]:
            _follow(out, rows, newest)
        return None


def _list(out: Console, rows: Iterable[WebhookEvent]) -> None:
    for row in rows:
        out.print(_line(row))


def _line(row: WebhookEvent) -> Text:
    """Control characters in a type or an error are escaped: they must not control the terminal."""
    line = Text().append(f"{row.received_at:%Y-%m-%d %H:%M:%S}  ", style="dim")
    line.append(f"{row.status:<15}", style=STYLES.get(row.status, ""))
    line.append(f"  {row.external_id:<32}  ", style="")
    line.append(row.type, style="bold")
    if row.last_error:
        line.append(f"  {_plain(row.last_error)}", style="red" if row.status == "failed" else "yellow")
    line.rstrip()
    return line


def _follow(out: Console, rows: WebhookEventQuerySet, newest: list[WebhookEvent]) -> None:
    """Print new events, and listed ones again when their status changes."""
    shown = {row.pk: row.status for row in newest}
    position = max(shown, default=0)
    try:
        while True:
            again = [pk for pk, status in shown.items() if status in WebhookEvent.WAITING][-STILL_WORKED_ON:]
            fresh = [*rows.filter(pk__in=again).order_by("pk"), *rows.filter(pk__gt=position).order_by("pk")]
            _list(out, [row for row in fresh if shown.get(row.pk) != row.status])
            shown |= {row.pk: row.status for row in fresh}
            position = max(shown, default=position)
            time.sleep(POLL_EVERY_SECONDS)
    except KeyboardInterrupt:
        return


def _show(out: Console, event_id: str) -> None:
    row = WebhookEvent.objects.by_external_ids([event_id]).select_related("payload").first()
    if row is None:
        raise CommandError("There is no such event.")
    out.print(_line(row))
    for attempt in row.attempt_log.order_by("number"):
        outcome = Text(attempt.outcome, style=STYLES.get(attempt.outcome, ""))
        took = "" if attempt.milliseconds is None else f" in {attempt.milliseconds} ms"
        out.print(
            Text(f"  attempt {attempt.number}: ").append(outcome).append(f"{took} {_plain(attempt.error)}".rstrip())
        )
    for repeat in row.repeats.order_by("id"):
        out.print(f"  {repeat.outcome} from {repeat.address} at {repeat.at:%Y-%m-%d %H:%M:%S}")
    payload = getattr(row, "payload", None)
    body = bytes(payload.body).decode("utf-8", "backslashreplace") if payload else "(payload deleted)"
    out.print(_plain(body))


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)
