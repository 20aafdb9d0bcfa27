"""``python -m webhooks --port 8003``: the webhooks service through its fast door.

Asked to end (SIGTERM), it says so in ``/health/ready`` and goes on answering for ``DRAIN_SECONDS``, until the proxies in
front have seen it; then it ends after its last answer. Asked again, it does not wait.
"""

import argparse
import os
import tempfile
from threading import Timer
from types import FrameType

import uvicorn
from uvicorn.supervisors import multiprocess

from saas.operations import draining

GRACE_SECONDS = 7  # within the supervisor's, which then kills
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "0"))


class DrainingServer(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if draining.is_on() or not DRAIN_SECONDS:
            super().handle_exit(sig, frame)
            return
        draining.start()
        end = Timer(DRAIN_SECONDS, super().handle_exit, (sig, frame))
        end.daemon = True
        end.start()


multiprocess.Server = DrainingServer  # type: ignore[attr-defined]  # what each of several workers runs: no setting names it


def main() -> None:
    options = _options()
    serve(options.host, options.port, workers=options.workers)


def serve(host: str, port: int, *, workers: int = 1) -> None:
    """Until it is asked to end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.webhooks")
    os.environ.setdefault("SAAS_PROCESS", "service")
    config = uvicorn.Config(
        "webhooks.asgi:application",
        host=host,
        port=port,
        workers=workers,
        http="webhooks.door.protocol:Protocol",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        log_config=None,  # Django's
        proxy_headers=False,  # saas.api.addresses knows which proxies to believe
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    if workers > 1:
        # Before anybody imports prometheus_client: each worker's numbers, where all can read them.
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="saas-metrics-")
        multiprocess.Multiprocess(config, sockets=[config.bind_socket()]).run()
    else:
        DrainingServer(config).run()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m webhooks", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8003)
    parser.add_argument("--workers", type=int, default=1, help="Processes; each has a connection to write through.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
