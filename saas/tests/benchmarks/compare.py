"""A B A B: each round measures every design once, and a ratio is of one round; what is reported is the median."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saas.tests.benchmarks.environment import Environment, Server
from saas.tests.benchmarks.processes import HOST, offer_load

WARM_UP_SECONDS = 0.5
FIRST_GUESS_RPS = 4000


@dataclass(frozen=True)
class Sample:
    """One design in one round."""

    rps: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_us: float = 0.0  # of the server, for each request
    database_cpu_us: float = 0.0
    requests: int = 0


@dataclass(frozen=True)
class Row:
    """Medians. ``ratio`` is against the first design; ``None`` where it did not run. ``against`` is that of every design."""

    design: str
    connections: int
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    database_cpu_us: float
    memory_mb: float
    ratio: float | None
    against: dict[str, float]

    def named(self, design: str) -> "Row":
        return replace(self, design=design)


class Comparison:
    """Collects samples by design and number of connections."""

    def __init__(self, baseline: str) -> None:
        self.baseline = baseline
        self.samples: dict[tuple[str, int], list[Sample]] = defaultdict(list)

    def add(self, design: str, connections: int, sample: Sample) -> None:
        self.samples[design, connections].append(sample)

    def rows(self, memory: Callable[[str], float] = lambda _: 0.0) -> list[Row]:
        return [self._row(design, connections, memory(design)) for design, connections in self.samples]

    def _row(self, design: str, connections: int, memory_mb: float) -> Row:
        samples = self.samples[design, connections]
        against = {
            other: _ratio(samples, theirs) for (other, level), theirs in self.samples.items() if level == connections
        }
        return Row(
            design,
            connections,
            rps=_median(sample.rps for sample in samples),
            p50_ms=_median(sample.p50_ms for sample in samples),
            p99_ms=_median(sample.p99_ms for sample in samples),
            cpu_us=_median(sample.cpu_us for sample in samples),
            database_cpu_us=_median(sample.database_cpu_us for sample in samples),
            memory_mb=memory_mb,
            ratio=against.get(self.baseline),
            against=against,
        )


def _ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> float:
    return _median(our.rps / their.rps for our, their in zip(ours, theirs, strict=True))


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)


def measure(
    environment: Environment, server: Server, connections: int, seconds: float, expected_rps: float, **job: Any
) -> Sample:
    """Load one server for ``seconds``; every answer must be a success."""
    server_cpu, database_cpu = server.process.cpu_seconds(), environment.database_cpu_seconds()
    result = offer_load(
        {"host": HOST, "port": server.port, "connections": connections, "seconds": seconds}
        | {"expected_rps": expected_rps, **job}
    )
    if refused := {status: n for status, n in result["statuses"].items() if not status.startswith("2")}:
        raise RuntimeError(f"{server.name} answered {refused}")
    count = result["requests"]
    return Sample(
        result["rps"],
        result["p50_ms"],
        result["p99_ms"],
        (server.process.cpu_seconds() - server_cpu) / count * 1e6,
        (environment.database_cpu_seconds() - database_cpu) / count * 1e6,
        count,
    )


def alternate(
    environment: Environment,
    servers: Sequence[Server],
    levels: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
    jobs: Callable[[Server], dict[str, Any]] = lambda _: {},
) -> list[Row]:
    """Every server at every level, round after round; the first server is the baseline."""
    comparison = Comparison(servers[0].name)
    expected = {
        (server.name, level): measure(environment, server, level, WARM_UP_SECONDS, FIRST_GUESS_RPS, **jobs(server)).rps
        for server in servers
        for level in levels
    }
    for number in range(rounds):
        for level in levels:
            for server in servers:
                guess = expected[server.name, level] * 1.3
                sample = measure(environment, server, level, seconds, guess, **jobs(server))
                expected[server.name, level] = max(sample.rps, expected[server.name, level])
                comparison.add(server.name, level, sample)
        say(f"round {number + 1} of {rounds}")
    memory = {server.name: round(server.process.memory_mb(), 1) for server in servers}
    return comparison.rows(memory.__getitem__)
