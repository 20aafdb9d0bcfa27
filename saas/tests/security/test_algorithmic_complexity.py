"""What a field costs grows no faster than what was sent to it: no text of 50 KB keeps a processor busy. (T58)

Processor time of this thread, at a tenth of the length and at the whole: linear is ten times as much, quadratic a hundred.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module

import pytest
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers
from rest_framework.exceptions import APIException

from saas.accounts.passwords.hashers import normalize_password
from saas.errors import DomainError
from saas.webhook_events import envelope, signatures

SHORT, LONG = 5_000, 50_000
MOST_TIMES, NOT_WORTH_MEASURING = 40, 0.02
OURS = ("saas", "product", "admin_ops", "parity", "webhooks")
PLAIN = ["a", "a ", "@", "a@", "a.", ".a@b", "-", "1", "1:", "%", "//", "[", '{"a":', "=,", "a=b,v1="]
PIECES = [*PLAIN, "\\u0000", "\n", "e\u0301", "\u202e"]


def below(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def fields() -> dict[str, serializers.Field]:
    """Every field of every serializer of ours that takes something in."""
    for service in OURS[1:]:
        import_module(f"{service}.urls")
    found = {}
    for kind in below(serializers.Serializer):
        if kind.__module__.partition(".")[0] in OURS and "tests" not in kind.__module__:
            for name, field in kind().fields.items():
                if not field.read_only:
                    found[f"{kind.__module__}.{kind.__name__}.{name}"] = field
    return found


def others() -> dict[str, Callable[[str], object]]:
    return {
        "a password's form": normalize_password,
        "an event": lambda text: envelope.read_event(text.encode()),
        "a signature": lambda text: signatures.verify(
            text, b"{}", secrets=["whsec_a"], tolerance_seconds=300, now=time.time()
        ),
    }


def seconds(take: Callable[[str], object], text: str) -> float:
    started = time.thread_time()
    with suppress(APIException, DjangoValidationError, DomainError, ValueError, signatures.BadSignature):
        take(text)
    return time.thread_time() - started


def is_bounded(take: Callable[[str], object], piece: str) -> bool:
    """Whether the time grows at most linearly; measured up to three times, on a processor that others use."""
    for _ in range(3):
        took = seconds(take, (piece * LONG)[:LONG])
        if took < NOT_WORTH_MEASURING or took < MOST_TIMES * seconds(take, (piece * SHORT)[:SHORT]):
            return True
    return False


@pytest.mark.long
@pytest.mark.django_db
def test_every_field_reads_a_long_text_in_linear_time() -> None:
    takers = {name: field.run_validation for name, field in fields().items()} | others()
    assert len(takers) > 100

    assert [(name, piece) for name, take in takers.items() for piece in PIECES if not is_bounded(take, piece)] == []


def test_a_quadratic_validator_is_detected() -> None:
    def looks_back(text: str) -> int:
        return sum(text.count("a", start) for start in range(0, len(text), 10))

    assert not is_bounded(looks_back, "a")
