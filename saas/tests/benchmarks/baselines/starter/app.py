"""What the starter does with a delivery: verify, parse, look in a dict, append, answer 202. It runs without our packages."""

import hashlib
import hmac
import json
import os
import time
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

TOLERANCE_SECONDS = 300
SECRET = os.environ["STRIPE_WEBHOOK_SECRET"].encode()

app = FastAPI()
events: dict[str, dict[str, Any]] = {}
log: list[str] = []


class Receipt(BaseModel):
    status: str
    event_id: str


@app.post("/api/webhooks/stripe", status_code=202)
async def take_in(request: Request) -> Receipt:
    body = await request.body()
    if not _is_signed(request.headers.get("stripe-signature", ""), body):
        raise HTTPException(400, "Invalid signature")
    event = json.loads(body)
    if event["id"] in events:
        return Receipt(status="duplicate", event_id=event["id"])
    events[event["id"]] = {"type": event["type"], "payload": event, "received_at": time.time(), "status": "received"}
    log.append(event["id"])
    return Receipt(status="accepted", event_id=event["id"])


def _is_signed(header: str, body: bytes) -> bool:
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    signed_at, signature = parts.get("t", "0"), parts.get("v1", "")
    expected = hmac.new(SECRET, signed_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return abs(time.time() - int(signed_at)) <= TOLERANCE_SECONDS and hmac.compare_digest(expected, signature)
