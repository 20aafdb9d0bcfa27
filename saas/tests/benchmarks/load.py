"""``python -m saas.tests.benchmarks.load``: a load generator in a process of its own, cheap enough not to be the limit.

Each connection sends its next request when it has its answer. The job comes as JSON on standard input, the result goes as
JSON to standard output. Raw sockets and one epoll loop: about 25 microseconds a request.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from saas.tests.benchmarks import deliveries

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
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        is_whole = len(body) >= int(lengths[0]) if lengths else body.endswith(b"0\r\n\r\n")
        return int(head[9:12]) if is_whole else 0


def run(requests: Iterator[bytes], host: str, port: int, connections: int, seconds: float) -> dict[str, Any]:
    """``rps``, latencies in milliseconds, and how often each status came. Ends early if the requests do."""
    selector = selectors.DefaultSelector()
    lines = [Connection(host, port) for _ in range(connections)]
    for line in lines:
        selector.register(line.socket, selectors.EVENT_READ, line)
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
    took = time.perf_counter() - started
    for line in lines:
        line.socket.close()
    latencies.sort()
    return {
        "rps": len(latencies) / took,
        "requests": len(latencies),
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
        "statuses": statuses,
    }


def main() -> None:
    job = json.load(sys.stdin)
    host, port = job["host"], job["port"]
    if fixed := job.get("requests"):
        source: Iterator[bytes] = cycle([text.encode("latin-1") for text in fixed])
    else:
        made, path = deliveries.bodies(), job.get("path", deliveries.PATH)
        many = int(job["expected_rps"] * job["seconds"] * _SPARE) + 2 * job["connections"]
        source = iter([deliveries.request(next(made)[1], f"{host}:{port}", path) for _ in range(many)])
    json.dump(run(source, host, port, job["connections"], job["seconds"]), sys.stdout)


if __name__ == "__main__":
    main()
