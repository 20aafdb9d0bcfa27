"""Detect card numbers (Luhn), to refuse them in input and to redact them in logs."""

import re
import unicodedata
from itertools import accumulate

_GAP = r"[\s._/\-\u2010-\u2015\uff0d-\uff0f\uff3f]{0,3}"
_RUN = re.compile(rf"\d(?:{_GAP}\d){{12,}}")
_GROUP = re.compile("[0-9]+")
_DIGITS = frozenset("0123456789")
_SHORTEST, _LONGEST = 13, 19
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # the sum of the digits of the double
REDACTED = "[card number]"


def contains_card_number(text: str) -> bool:
    """Whether ``text`` holds 13 to 19 digits that pass the check of a card number, with separators between them."""
    runs = _RUN.finditer(unicodedata.normalize("NFKC", text))
    return any(_holds_number(run[0]) for run in runs)


def redact_card_numbers(text: str) -> str:
    """Replace the runs of digits, also of full width, that hold a card number."""
    return _RUN.sub(lambda run: REDACTED if _holds_number(unicodedata.normalize("NFKC", run[0])) else run[0], text)


def _holds_number(run: str) -> bool:
    """Whether neighbouring groups of digits make up a card number: Luhn's sum of each such window is a difference of sums
    from the start, so that the time grows with the length only."""
    edges = [0, *accumulate(len(group) for group in _GROUP.findall(run))]
    digits = [int(character) for character in run if character in _DIGITS]
    sums = [_luhn_sums(digits, parity) for parity in (0, 1)]
    for number, start in enumerate(edges):
        for end in edges[number + 1 : number + 1 + _LONGEST]:
            if end - start > _LONGEST:
                break
            if end - start >= _SHORTEST and (sums[end % 2][end] - sums[end % 2][start]) % 10 == 0:
                return True
    return False


def _luhn_sums(digits: list[int], parity: int) -> list[int]:
    """Of the first n digits, for each n, where those at even (0) or odd (1) places are doubled."""
    return [0, *accumulate(_DOUBLED[digit] if place % 2 == parity else digit for place, digit in enumerate(digits))]
