"""How production serves: ``gunicorn -c python:saas.serving saas.wsgi``. Everything here may be overridden on its command line.

Asked to end (SIGTERM), the server first says so in ``/health/ready`` and goes on answering until the proxies in front have
seen it; then it finishes what is under way. All of that takes less than the 30 seconds that orchestrators wait.
"""

import json
import os
import tempfile
import time
from typing import Any

from gunicorn import util

from saas.ids import new_id
from saas.operations import draining

# Before anybody imports prometheus_client: the workers of one server write where each of them can read all.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="saas-metrics-")

bind = os.environ.get("BIND", "0.0.0.0:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
# More than may wait for a password's hash (36 at most, saas.accounts.hashing), so that a flood of logins leaves some to others.
threads = int(os.environ.get("WEB_THREADS", "48"))
timeout = 30  # seconds in which a worker must show a sign of life
graceful_timeout = 20  # seconds for what is under way
drain_seconds = float(os.environ.get("DRAIN_SECONDS", "5"))
keepalive = 5
backlog = 512
max_requests = 20_000  # a worker starts anew after about so many, whatever it has gathered
max_requests_jitter = 2_000
limit_request_line = 4_094
limit_request_fields = 100
limit_request_field_size = 8_190
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  (a heartbeat must not wait for a disk)
forwarded_allow_ips = ""  # TrustedProxyMiddleware decides whom to believe
accesslog = None  # saas.api.middleware writes a line for each request
errorlog = "-"
control_socket_disable = True


def on_starting(server: Any) -> None:
    """A socket of this machine has no peer address: without a trusted proxy all callers would share one."""
    is_on_socket = any(isinstance(address, str) for address in server.cfg.address)
    trusted = os.environ.get("TRUSTED_PROXY_CIDRS", "").replace(" ", "").split(",")
    if is_on_socket and os.environ.get("SAAS_ENV") == "production" and "unix" not in trusted:
        raise SystemExit("TRUSTED_PROXY_COUNT and TRUSTED_PROXY_CIDRS=unix must be set behind a socket in production.")


def when_ready(server: Any) -> None:
    end = server.handle_term

    def drain_and_end() -> None:
        draining.start()
        time.sleep(drain_seconds)
        end()

    server.handle_term = drain_and_end


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def write_problem(sock: Any, status_int: int, reason: str, mesg: str) -> None:
    """What cannot be read as HTTP never reaches Django; the answer is a problem document all the same."""
    code, request_id = _CODES.get(status_int, "malformed"), new_id("req")
    body = {"type": f"urn:saas:problem:{code}", "title": reason, "status": status_int, "detail": reason, "code": code}
    raw = json.dumps({**body, "request_id": request_id}).encode()
    head = (
        f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"X-Request-ID: {request_id}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(raw)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("ascii") + raw)


_CODES = {500: "internal_error", 403: "forbidden"}
util.write_error = write_problem  # gunicorn has no setting for it
