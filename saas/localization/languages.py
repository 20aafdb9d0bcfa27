"""Which of the languages of ``LANGUAGES`` a person reads."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.utils import translation

from saas import request_context

FALLBACK = "en"


def supported_language(locale: str) -> str:
    """``de`` for ``de-AT``; English for a language that we do not have."""
    try:
        return translation.get_supported_language_variant(locale)
    except LookupError:
        return FALLBACK


def request_language() -> str:
    """What the browser of the current request asks for; English outside one."""
    return request_context.current().language or FALLBACK


@contextmanager
def language_of(locale: str) -> Iterator[None]:
    """Write in the language of a person's ``locale``."""
    with translation.override(supported_language(locale)):
        yield
