"""``python -m saas.serve product``: one service as production serves it. What the image runs for all four.

``BIND`` (host:port) and ``WEB_CONCURRENCY`` (processes) say where and how wide, ``DRAIN_SECONDS`` how long it still answers
when it is asked to end.
"""

import os
import sys

SERVICES = ("product", "admin_ops", "parity", "webhooks")


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in SERVICES:
        sys.exit(f"Name one service: python -m saas.serve {'|'.join(SERVICES)}")
    (service,) = arguments
    os.environ |= {"DJANGO_SETTINGS_MODULE": f"saas.settings.{service}", "SAAS_PROCESS": "service"}
    os.environ.setdefault("DRAIN_SECONDS", "5")
    command = [sys.executable, "-m", *(_fast_door() if service == "webhooks" else _gunicorn())]
    os.execv(command[0], command)  # noqa: S606


def _gunicorn() -> list[str]:
    return ["gunicorn", "-c", "python:saas.serving", "saas.wsgi"]


def _fast_door() -> list[str]:
    host, _, port = os.environ.get("BIND", "0.0.0.0:8000").rpartition(":")
    return ["webhooks", "--host", host, "--port", port, "--workers", os.environ.get("WEB_CONCURRENCY", "1")]


if __name__ == "__main__":
    main(sys.argv[1:])
