"""Opaque, prefixed, unguessable ids: ``usr_…``, ``team_…``.

48 bits of time (rows created together are close in the index) and 80 random bits, in Crockford's
base 32, lower case: the layout of a ULID.
"""

import os
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # two characters, ten bits, at a time
_SHIFTS = range(120, -1, -10)
_RANDOM_BITS = 80


def new_id(prefix: str) -> str:
    """A new id such as ``usr_01k3…`` (prefix, underscore, 26 characters)."""
    random = int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
    number = (time.time_ns() // 1_000_000) << _RANDOM_BITS | random
    return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


def id_created_at(id: str) -> datetime:
    """When ``new_id`` made this id."""
    number = sum(_ALPHABET.index(letter) << 5 * i for i, letter in enumerate(reversed(id.rpartition("_")[2])))
    return datetime.fromtimestamp((number >> _RANDOM_BITS) / 1000, UTC)
