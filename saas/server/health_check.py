"""``python -m saas.server.health_check``: exit with 0 if the service of this container answers. Standard library only."""

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 3.0


def is_healthy() -> bool:
    """Whether ``/health`` of the port in ``BIND`` answers 200 within ``TIMEOUT_SECONDS``."""
    port = int(os.environ.get("BIND", ":8000").rpartition(":")[2])
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_healthy() else 1)
