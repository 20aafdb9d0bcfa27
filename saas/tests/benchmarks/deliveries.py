"""Signed deliveries, each another event, of the size that Stripe's have."""

import json
import secrets
import time
from collections.abc import Iterator
from itertools import count

from saas.webhook_events.signatures import sign

SECRET = "whsec_benchmark"
PATH = "/api/webhooks/stripe"
TYPE = "bench.object.updated"
BODY_BYTES = 2400


def bodies(type: str = TYPE) -> Iterator[tuple[str, bytes]]:
    """Event ids and bodies without end, never the same twice in any process."""
    mark = secrets.token_hex(6)
    template = _template(type)
    for number in count():
        name = f"{mark}{number:08d}"
        yield f"evt_{name}", template.replace(_NAME, name.encode())


_NAME = b"0" * 20  # as long as the names that take its place


def _template(type: str) -> bytes:
    """Composing each body anew would cost the load more than sending it."""
    name = _NAME.decode()
    thing = {"id": f"obj_{name}", "object": "bench", "customer": f"cus_{name}", "status": "active", "filler": ""}
    event = {
        "id": f"evt_{name}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": thing},
        "livemode": False,
        "type": type,
    }
    raw = json.dumps(event, separators=(",", ":"))
    filler = (secrets.token_hex(40) + " lorem ipsum dolor sit amet ") * 25  # compresses as JSON does
    thing["filler"] = filler[: BODY_BYTES - len(raw)]
    return json.dumps(event, separators=(",", ":")).encode()


def request(body: bytes, host: str, path: str = PATH) -> bytes:
    """The whole delivery as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nAccept: */*; q=0.5, application/xml\r\n"
        f"Stripe-Signature: {sign(body, secret=SECRET, at=int(time.time()))}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
