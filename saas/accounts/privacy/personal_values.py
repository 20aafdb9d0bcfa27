"""The values that name a person, and how to find and redact them in whatever form a text quotes them."""

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import unquote_plus

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Lower

from saas.accounts.models import OneTimeToken, User

REDACTED = "[erased]"
SHORTEST_PART = 3
_UNESCAPED = re.compile(r"[A-Za-z0-9]+")
_QUOTED_PRINTABLE = re.compile(r"=(?:\r?\n|([0-9A-F]{2}))")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[bfnrt])")  # of JSON, and of Python's bytes
_LONGER_ADDRESS = re.compile(r"[a-z0-9]\.?\Z")
_SHORT_NAME = 6  # letters: a longer one may have the endings of its language, a shorter one is in many words


@dataclass(frozen=True)
class PersonalValues:
    """``emails`` are the person's addresses, ``quotes`` what no text of ours may hold: those, and names of two words or more.

    A single first name is no quote: it would match other people.
    """

    emails: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of_user(cls, user: User) -> "PersonalValues":
        names = {user.full_name, getattr(getattr(user, "profile", None), "display_name", "")}
        return cls(frozenset(addresses_of(user)), frozenset(name for name in names if name))

    @property
    def quotes(self) -> list[str]:
        return sorted(self.emails | {name for name in self.names if len(name.split()) > 1})

    @property
    def search_parts(self) -> list[str]:
        """What a case-insensitive search of a column looks for: of each quote a part that no way of escaping changes.

        ``are_mentioned`` decides about what it finds.
        """
        return sorted({part for quote in self.quotes for part in _search_parts(quote)})

    def are_mentioned(self, text: str) -> bool:
        """Whether a text holds one of the quotes: in any case, escaped for a URL, for JSON, for HTML or for a mail. Letters
        that only happen to stand together, as of An Li in "urban life", are none."""
        wanted = [_plain(value) for value in self.quotes]
        return any(_is_quoted(value, decoded) for decoded in map(_plain, _decodings(text)) for value in wanted)

    def redact(self, value: Any) -> Any:
        """A JSON value in which every text that mentions the person is ``[erased]``."""
        if isinstance(value, str):
            return REDACTED if self.are_mentioned(value) else value
        if isinstance(value, dict):
            return {self.redact(name): self.redact(inner) for name, inner in value.items()}
        return [self.redact(inner) for inner in value] if isinstance(value, list) else value


def addresses_of(user: User) -> set[str]:
    """The account's address, earlier ones, and those it was to be changed to, unless another account has them by now."""
    return _own_addresses(user, user.one_time_tokens.all())


def proven_addresses_of(user: User) -> set[str]:
    """The account's address, and earlier ones that a used mailed link proved, unless another account has them by now."""
    return _own_addresses(user, user.one_time_tokens.exclude(used_at=None))


def _own_addresses(user: User, tokens: QuerySet[OneTimeToken]) -> set[str]:
    is_anothers = Exists(User.objects.filter(email_canonical=Lower(OuterRef("email"))).exclude(pk=user.pk))
    return {user.email, *tokens.exclude(is_anothers).values_list("email", flat=True)}


def _search_parts(quote: str) -> list[str]:
    """The longest run of ASCII letters and digits, or where there is none, the quote as it is and as JSON writes it."""
    longest = max(_UNESCAPED.findall(quote), key=len, default="")
    return [longest] if len(longest) >= SHORTEST_PART else [quote, json.dumps(quote)[1:-1]]


def _is_quoted(value: str, text: str) -> bool:
    """Whether ``value`` stands in ``text`` at least once by itself, not inside a longer word or address."""
    start = text.find(value)
    while start >= 0:
        if not _begins_earlier(value, text[:start]) and not _goes_on(value, text[start + len(value) :]):
            return True
        start = text.find(value, start + 1)
    return False


def _begins_earlier(value: str, before: str) -> bool:
    return bool(_LONGER_ADDRESS.search(before[-2:])) if "@" in value else _is_of_a_word(before[-1:])


def _goes_on(value: str, after: str) -> bool:
    """Whether a short name or an address is the beginning of something longer. An s may follow: a name has a genitive."""
    if "@" not in value and sum(map(str.isalpha, value)) > _SHORT_NAME:
        return False
    return _is_of_a_word(after[:1]) and not (after[0] == "s" and not _is_of_a_word(after[1:2]))


def _is_of_a_word(character: str) -> bool:
    """Whether it is a lowercase letter, as all of the text is. Scripts without capitals do not separate their words."""
    return character != character.upper()


def _decodings(text: str) -> Iterable[str]:
    once = {text, unquote_plus(text), unescape(text), _QUOTED_PRINTABLE.sub(_byte, text)}
    read = {*once, unquote_plus(unquote_plus(text))}
    return read | {_ESCAPE.sub(_character, one) for one in read}


def _character(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else " "


def _byte(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
