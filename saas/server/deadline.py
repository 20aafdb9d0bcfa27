"""A timeout for asyncio at a third of the cost of ``asyncio.timeout``, which would be a tenth of a short request."""

import asyncio
from collections.abc import Callable
from types import TracebackType


class Deadline:
    """Interrupts the block after ``seconds`` with ``TimeoutError``, and calls ``before_interrupt`` first."""

    def __init__(self, seconds: float, before_interrupt: Callable[[], object] = lambda: None) -> None:
        self._seconds = seconds
        self._before_interrupt = before_interrupt
        self._has_expired = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._has_expired = True
        self._before_interrupt()
        if self._task:
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._has_expired and self._task:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise TimeoutError from error
