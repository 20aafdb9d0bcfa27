"""Passwords that are guessed first: Django's list, each also lengthened or repeated, and a list of your own from breaches.

Of Django's 20,000 fewer than 200 have twelve characters: who must type twelve adds a year and signs to a shorter one, or types
it twice. So these are refused as well (OWASP ASVS 5.0, 6.2.4 and 6.2.12).
"""

import gzip
import string
from collections.abc import Iterator
from pathlib import Path

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from saas.accounts.models import User
from saas.accounts.passwords.validators import MIN_LENGTH

_ADDED = string.digits + string.punctuation + string.whitespace


class CommonPasswordValidator(password_validation.CommonPasswordValidator):
    """Refuse a common password in any case, also with digits and signs around it, repeated, or both.

    ``breached_passwords_file`` holds more of them, one a line, plain or gzipped; empty for none.
    """

    def __init__(self, breached_passwords_file: str = "") -> None:
        super().__init__()
        if breached_passwords_file:
            self.passwords |= set(_read_passwords(Path(breached_passwords_file)))

    def validate(self, password: str, user: User | None = None) -> None:
        typed = password.strip().lower()
        guesses = {typed, _repeated_part(typed), _repeated_part(typed.strip(_ADDED))} - {""}
        if not guesses.isdisjoint(self.passwords):
            raise ValidationError(self.get_error_message(), code="password_too_common")


def _read_passwords(path: Path) -> Iterator[str]:
    """Those that are long enough to be chosen: the others would only use memory."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            password = line.decode(errors="replace").strip().lower()
            if len(password) >= MIN_LENGTH:
                yield password


def _repeated_part(text: str) -> str:
    """Return what ``text`` repeats ("abcabc" repeats "abc"); all of it if nothing."""
    return text[: (text + text).find(text, 1)]
