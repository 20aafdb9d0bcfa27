"""Prometheus metrics of this process's PostgreSQL connection pool; the workers of one server are added up."""

from django.db import connection
from prometheus_client import Gauge

CONNECTIONS = Gauge(
    "database_pool_connections", "Connections of the pools, idle or in use.", ["state"], multiprocess_mode="livesum"
)
WAITING = Gauge("database_pool_waiting", "Threads that wait for a connection.", multiprocess_mode="livesum")


def record_pool() -> None:
    """Record the pool's state now. Without a pool (SQLite) nothing is recorded."""
    pool = getattr(connection, "pool", None)
    if pool is None:
        return
    stats = pool.get_stats()
    idle = stats.get("pool_available", 0)
    CONNECTIONS.labels("idle").set(idle)
    CONNECTIONS.labels("in use").set(stats.get("pool_size", 0) - idle)
    WAITING.set(stats.get("requests_waiting", 0))
