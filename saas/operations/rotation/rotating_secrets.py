"""The secrets that can be rotated. Of each the first value signs (or encrypts, or hashes), and all are accepted.

An app registers its own in its ``rotating_secrets.py``, which is discovered like Celery's ``tasks.py``.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from saas.operations.app_discovery import autodiscover

FINGERPRINT_LENGTH = 12


@dataclass(frozen=True)
class RotatingSecret:
    """``name``: its environment variable; the others stand in ``<name>_FALLBACKS`` unless ``fallbacks`` says otherwise.

    An earlier value may be dropped ``needed_for`` after it last signed, or when ``count_unmoved`` finds no row that only it
    covers; ``unmoved`` says what such rows are.
    """

    name: str
    values: Callable[[], Sequence[str]]
    needed_for: timedelta = timedelta(0)
    count_unmoved: Callable[[], int] | None = None
    unmoved: str = ""
    fallbacks: str = ""
    move_all: Callable[[], int] | None = None  # moves every row to the first value and returns their number

    @property
    def other_values(self) -> str:
        """The environment variable of the values that are accepted and do not sign."""
        return self.fallbacks or f"{self.name}_FALLBACKS"

    def fingerprints(self) -> list[str]:
        """Names of the values, the one that signs first, that reveal nothing about them."""
        return [self._fingerprint(value) for value in self.values() if value]

    def _fingerprint(self, value: str) -> str:
        return hashlib.sha256(f"fingerprint of {self.name}:{value}".encode()).hexdigest()[:FINGERPRINT_LENGTH]


_secrets: dict[str, RotatingSecret] = {}


def register(secrets: Iterable[RotatingSecret]) -> None:
    _secrets.update({secret.name: secret for secret in secrets})


def rotating_secrets() -> dict[str, RotatingSecret]:
    """Return the secrets of all active apps, by name."""
    autodiscover("rotating_secrets")
    return dict(sorted(_secrets.items()))
