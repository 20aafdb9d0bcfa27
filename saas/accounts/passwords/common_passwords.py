"""Passwords that are guessed first: Django's list, each also repeated, and a list of your own from breaches.

Of Django's 20,000 fewer than 200 have twelve characters: who must type twelve types a shorter one twice. Words with digits and
signs around them are for the list from breaches (OWASP ASVS 5.0, 6.2.4 and 6.2.12): a rule would refuse too many good ones.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError

from saas.accounts.models import User
from saas.accounts.passwords.validators import MIN_LENGTH


class CommonPasswordValidator(password_validation.CommonPasswordValidator):
    """Refuse a common password in any case, also repeated.

    ``breached_passwords_file`` holds more of them, one a line, plain or gzipped; empty for none.
    """

    def __init__(self, breached_passwords_file: str = "") -> None:
        super().__init__()
        if breached_passwords_file:
            self.passwords |= set(_read_passwords(Path(breached_passwords_file)))

    def validate(self, password: str, user: User | None = None) -> None:
        typed = password.strip().lower()
        if typed in self.passwords or _repeated_part(typed) in self.passwords:
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
