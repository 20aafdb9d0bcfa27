"""The embedded broker: Kombu's file transport, with files that nobody can read half written.

Kombu makes a message's file and then fills it; a worker that looks in between finds nothing to decode and ends
(https://github.com/celery/kombu/issues/1551). A binding's file has the same gap when it is first made.
"""

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.json import dumps

from saas.env import development_file


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **options: Any) -> None:  # type: ignore[override]  # as Kombu's own does
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns()}_{uuid4()}.{queue}.msg"
        draft = folder / f".{name}"  # of no queue, as readers take names apart
        draft.write_text(dumps(payload), encoding="utf-8")
        draft.replace(folder / name)

    def _queue_bind(self, exchange: str, *binding: Any) -> None:
        development_file(Path(self.control_folder) / f"{exchange}.exchange", lambda: "[]")
        super()._queue_bind(exchange, *binding)


class Transport(filesystem.Transport):
    Channel = Channel
