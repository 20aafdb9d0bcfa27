"""``manage.py stripe_trigger customer.subscription.updated``: post a signed, Stripe-shaped event to the webhooks service."""

import json
import time
from argparse import ArgumentParser
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from saas.billing.providers.stripe import example_events
from saas.server.ports import is_here
from saas.webhook_events.signatures import sign

TIMEOUT_SECONDS = 10
_VERSIONS = {"current": example_events.CURRENT, "legacy": example_events.LEGACY}


class Command(BaseCommand):
    help = "Post a signed event of the given type to the webhooks service, as Stripe does. Without a type: list them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", nargs="?", help="Such as `invoice.paid`. Others than those listed work, too.")
        parser.add_argument("--object", default="{}", help="JSON: fields of the event's object.")
        parser.add_argument("--id", default="", help="The event's id; a new one by default.")
        parser.add_argument(
            "--api", choices=list(_VERSIONS), default="current", help="The shape: of today, or of before 2025-03-31."
        )
        parser.add_argument("--url", default="", help="Base address of the webhooks service.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["type"]:
            self.stdout.write("\n".join(example_events.EVENT_TYPES))
            return
        if not settings.STRIPE_WEBHOOK_SECRETS:
            raise CommandError("STRIPE_WEBHOOK_SECRET is not set: there is nothing to sign with.")
        base = options["url"] or settings.SERVICE_BASE_URLS["webhooks"]
        event = example_events.example_event(
            options["type"],
            at=int(time.time()),
            version=_VERSIONS[options["api"]],
            livemode=settings.STRIPE_LIVEMODE,
            id=options["id"],
            fields=_fields(options["object"]),
        )
        self.stdout.write(_post(f"{base.rstrip('/')}/api/webhooks/stripe", json.dumps(event).encode()))


def _fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise CommandError("--object is no JSON.") from error
    if not isinstance(fields, dict):
        raise CommandError("--object is no JSON object.")
    return fields


def _post(url: str, body: bytes) -> str:
    signature = sign(body, secret=settings.STRIPE_WEBHOOK_SECRETS[0], at=int(time.time()))
    headers = {"Content-Type": "application/json", "Stripe-Signature": signature}
    if not url.startswith(("http://", "https://")):
        raise CommandError("--url must start with http:// or https://.")
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=not is_here(url)) as client:
            answer = client.post(url, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"The webhooks service does not answer at {url}.") from error
    if not answer.is_success:
        raise CommandError(f"{answer.status_code}: {answer.text}")
    return answer.text
