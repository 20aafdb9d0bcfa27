"""Fail the test run if any line that it logs contains a secret."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from saas.logs import ContextFilter, LineFormatter
from saas.testing.factories.user_factories import PASSWORD


class LeakDetector(logging.Handler):
    """Format each record as it would be written, and collect in ``leaks`` those that contain one of ``secrets`` (by name)."""

    def __init__(self, secrets: dict[str, str]) -> None:
        super().__init__(logging.DEBUG)
        self.secrets = secrets
        self.leaks: list[str] = []
        self.addFilter(ContextFilter())
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        for name, secret in self.secrets.items():
            if secret in line:
                self.leaks.append(f"{name} in a line of {record.name}: {line[:300]}")


def process_secrets() -> dict[str, str]:
    """Return the secrets that every process holds, and the password of all users in the tests."""
    return {
        "PASSWORD": PASSWORD,
        "SECRET_KEY": settings.SECRET_KEY,
        "AUTH_PEPPER": settings.AUTH_PEPPER,
        "SESSION_SECRET": settings.SESSION_SECRET,
        "MFA_KEY": settings.MFA_KEY,
    }


@contextmanager
def detect_leaks(secrets: dict[str, str]) -> Iterator[LeakDetector]:
    detector = LeakDetector(secrets)
    root = logging.getLogger()
    root.addHandler(detector)
    logging.getLogger("saas").setLevel(logging.DEBUG)
    try:
        yield detector
    finally:
        root.removeHandler(detector)
        logging.getLogger("saas").setLevel(logging.NOTSET)
