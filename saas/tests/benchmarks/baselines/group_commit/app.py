"""The minimum that stores events durably in batches, as an ASGI application: the best that group commit can give."""

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from saas.tests.benchmarks.baselines import rows
from saas.tests.benchmarks.baselines.rows import Row
from saas.tests.benchmarks.deliveries import SECRET
from saas.webhook_events.signatures import verify


class Writer:
    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        self.waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self.is_writing = False

    async def store(self, row: Row) -> None:
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        self.waiting.append((row, stored))
        if not self.is_writing:
            self.is_writing = True
            loop.call_soon(self.hand_over)
        await stored

    def hand_over(self) -> None:
        batch, self.waiting = self.waiting, []
        self.is_writing = bool(batch)
        if batch:
            written = asyncio.get_running_loop().run_in_executor(self.thread, self.write, [row for row, _ in batch])
            written.add_done_callback(lambda _: self.answer(batch))

    def write(self, batch: list[Row]) -> None:
        self.connection.execute(*rows.insert(batch))

    def answer(self, batch: list[tuple[Row, asyncio.Future[None]]]) -> None:
        self.hand_over()
        for _, stored in batch:
            stored.set_result(None)


writer = Writer()


async def application(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    signature = dict(scope["headers"])[b"stripe-signature"].decode()
    verify(signature, body, secrets=[SECRET], tolerance_seconds=300, now=time.time())
    row = rows.row(body)
    await writer.store(row)
    answer = json.dumps({"status": "accepted", "event_id": row[0]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
