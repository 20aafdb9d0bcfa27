"""The embedded broker: Kombu's filesystem transport with atomic writes.

Kombu creates a message's file and then fills it; a worker that reads in between fails and ends
(https://github.com/celery/kombu/issues/1551). A binding's file has the same race when it is created. A corrupt file (full disk,
power loss) would end each reader again: here it is renamed and skipped.
"""

import logging
import time
from collections import defaultdict
from pathlib import Path
from queue import Empty
from typing import Any, ClassVar
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

from saas.env import read_or_create

logger = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    # Bindings of this process, by exchange: to restore them if the file was lost.
    _bound: ClassVar[dict[str, set[tuple[str, ...]]]] = defaultdict(set)

    def _put(self, queue: str, payload: Any, **options: Any) -> None:  # type: ignore[override]  # as Kombu's own does
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns()}_{uuid4()}.{queue}.msg"
        draft = folder / f".{name}"  # readers match it to no queue
        draft.write_text(dumps(payload), encoding="utf-8")
        draft.replace(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        waiting = [
            path for path in Path(self.data_folder_in).glob("*.msg") if path.name.partition(".")[2] == f"{queue}.msg"
        ]
        for path in sorted(waiting):
            claimed = Path(self.processed_folder) / path.name
            try:
                path.replace(claimed)
            except FileNotFoundError:  # another reader was faster
                continue
            if (message := _decode(claimed.read_bytes())) is None:
                _quarantine_file(claimed)
                continue
            claimed.unlink()
            return message
        raise Empty

    def get_table(self, exchange: str) -> Any:
        try:
            table = super().get_table(exchange)
        except (ValueError, TypeError):
            _quarantine_file(Path(self.control_folder) / f"{exchange}.exchange")
            table = []
        if not table and (bound := self._bound[exchange]):
            for binding in list(bound):
                self._queue_bind(exchange, *binding)
            table = super().get_table(exchange)
        return table

    def _queue_bind(self, exchange: str, *binding: Any) -> None:
        self._bound[exchange].add(binding)
        file = Path(self.control_folder) / f"{exchange}.exchange"
        read_or_create(file, lambda: "[]")
        try:
            super()._queue_bind(exchange, *binding)
        except (ValueError, TypeError):
            _quarantine_file(file)
            read_or_create(file, lambda: "[]")
            super()._queue_bind(exchange, *binding)


def _decode(text: bytes) -> Any:
    """Return the decoded message; None if it is corrupt."""
    try:
        message = loads(text)
    except ValueError:
        return None
    is_whole = isinstance(message, dict) and {"body", "properties"} <= message.keys()
    return message if is_whole else None


def _quarantine_file(path: Path) -> None:
    aside = path.with_name(f"{path.name}.broken-{uuid4().hex[:8]}")
    logger.warning("broker_file_broken", extra={"file": str(path), "kept_as": aside.name})
    path.replace(aside)


class Transport(filesystem.Transport):
    Channel = Channel
