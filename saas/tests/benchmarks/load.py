"""``python -m saas.tests.benchmarks.load``: a load generator in a process of its own, cheap enough not to be the limit.

Each connection sends its next request when it has its answer; or, if the job names a ``rate``, requests are due at fixed
moments whatever the server does, and an answer's time counts from the moment its request was due. The job comes as JSON on
standard input, the result goes as JSON to standard output. Raw sockets and one epoll loop: about 25 microseconds a request.
"""

import json
import re
import selectors
import socket
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

from saas.tests.benchmarks import deliveries

INTERVAL_SECONDS = 5.0  # of a paced run, whose answers are also reported by interval
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_SPARE = 1.3  # distinct requests made beforehand, over what the warm-up lets expect


class Connection:
    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.answer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int:
        """The status, once the whole answer is there; else 0."""
        piece = self.socket.recv(65_536)
        if not piece:
            raise ConnectionResetError("the server closed a connection")
        self.answer += piece
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return 0
        length = _LENGTH.search(head)
        is_whole = len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")
        return int(head[9:12]) if is_whole else 0


def run(requests: Iterator[bytes], host: str, port: int, connections: int, seconds: float) -> dict[str, Any]:
    """``rps``, latencies in milliseconds, and how often each status came. Ends early if the requests do."""
    lines, selector = _connect(host, port, connections)
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    started = time.perf_counter()
    for line in lines:
        line.send(next(requests))
    open_lines = len(lines)
    while open_lines:
        for key, _ in selector.select():
            line = key.data
            if not (status := line.receive()):
                continue
            now = time.perf_counter()
            latencies.append(now - line.sent_at)
            statuses[status] += 1
            following = next(requests, None) if now - started < seconds else None
            if following is None:
                open_lines -= 1
            else:
                line.send(following)
    return _result(lines, latencies, statuses, time.perf_counter() - started)


def run_paced(
    requests: Iterator[bytes], host: str, port: int, connections: int, seconds: float, rate: float
) -> dict[str, Any]:
    """The same at ``rate`` requests a second. One that finds no connection free waits, and its wait counts.

    ``intervals``: for every five seconds, of the requests that were due in them.
    """
    lines, selector = _connect(host, port, connections)
    idle = deque(lines)  # each in its turn, or the server closes those that wait too long for theirs
    latencies: list[float] = []
    due_at: list[float] = []
    statuses: Counter[int] = Counter()
    sent, total = 0, int(rate * seconds)
    started = time.perf_counter()
    while len(latencies) < total:
        while idle and sent < total and (due := started + sent / rate) <= time.perf_counter():
            line = idle.popleft()
            line.send(next(requests))
            line.sent_at = due
            sent += 1
        wait = started + sent / rate - time.perf_counter() if idle and sent < total else None
        for key, _ in selector.select(wait if wait is None else max(wait, 0)):
            line = key.data
            if status := line.receive():
                latencies.append(time.perf_counter() - line.sent_at)
                due_at.append(line.sent_at - started)
                statuses[status] += 1
                idle.append(line)
    took = time.perf_counter() - started
    return {"intervals": _intervals(due_at, latencies), **_result(lines, latencies, statuses, took)}


def _connect(host: str, port: int, connections: int) -> tuple[list[Connection], selectors.BaseSelector]:
    selector = selectors.DefaultSelector()
    lines = [Connection(host, port) for _ in range(connections)]
    for line in lines:
        selector.register(line.socket, selectors.EVENT_READ, line)
    return lines, selector


def _result(lines: list[Connection], latencies: list[float], statuses: Counter[int], took: float) -> dict[str, Any]:
    for line in lines:
        line.socket.close()
    return {"rps": len(latencies) / took, "requests": len(latencies), **_percentiles(latencies), "statuses": statuses}


def _percentiles(latencies: list[float]) -> dict[str, float]:
    latencies = sorted(latencies)
    return {f"p{percent}_ms": latencies[len(latencies) * percent // 100] * 1000 for percent in (50, 95, 99)}


def _intervals(due_at: list[float], latencies: list[float]) -> list[dict[str, float]]:
    found: defaultdict[int, list[float]] = defaultdict(list)
    for due, latency in zip(due_at, latencies, strict=True):
        found[int(due / INTERVAL_SECONDS)].append(latency)
    return [{"second": number * INTERVAL_SECONDS, **_percentiles(found[number])} for number in sorted(found)]


def _signed(job: dict[str, Any]) -> Iterator[bytes]:
    """Deliveries without end, each another event."""
    path = job.get("path", deliveries.PATH)
    return (deliveries.request(body, f"{job['host']}:{job['port']}", path) for _, body in deliveries.bodies())


def main() -> None:
    job = json.load(sys.stdin)
    where = job["host"], job["port"], job["connections"], job["seconds"]
    if rate := job.get("rate"):  # for minutes: made when they are due, or their signatures would be stale
        result = run_paced(_signed(job), *where, rate)
        json.dump({**result, "cpu_seconds": time.process_time()}, sys.stdout)
        return
    if fixed := job.get("requests"):
        source: Iterator[bytes] = cycle([text.encode("latin-1") for text in fixed])
    else:
        many = int(job["expected_rps"] * job["seconds"] * _SPARE) + 2 * job["connections"]
        source = iter(list(islice(_signed(job), many)))
    json.dump(run(source, *where), sys.stdout)


if __name__ == "__main__":
    main()
