"""The catalogues of translations: ``locale/<language>/LC_MESSAGES/django.po`` of each root, and the ``.mo`` made of it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings

from saas.localization.messages import find_messages

ROOTS = ("saas", "product")
SOURCE_LANGUAGE = "en"
_FIXED = datetime(2026, 1, 1, tzinfo=UTC)  # a date would make every catalogue differ from every other


def catalog_paths() -> Iterator[tuple[str, Path, str]]:
    """Root, file and language of each catalogue."""
    for root in ROOTS:
        for language, _ in settings.LANGUAGES:
            if language != SOURCE_LANGUAGE:
                folder = settings.BASE_DIR / root / "locale" / language / "LC_MESSAGES"
                yield root, folder / "django.po", language


def read_catalog(path: Path, language: str) -> Catalog:
    """The catalogue of a file; empty if there is none."""
    if not path.exists():
        return Catalog(language)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain="django")


def updated_catalog(root: str, old: Catalog, language: str) -> Catalog:
    """A catalogue of all messages of ``root``, with the translations of ``old``."""
    new = Catalog(
        language, domain="django", project="SaaS", version="", copyright_holder="", fuzzy=False,
        header_comment="# Written by manage.py translations: fill in each msgstr.",
        creation_date=_FIXED, revision_date=_FIXED, last_translator="", language_team="",
    )  # fmt: skip
    for message in find_messages(settings.BASE_DIR / root):
        known = old.get(message.id, message.context)
        new.add(message.id, known.string if known else None, context=message.context)
    return new


def po_bytes(catalog: Catalog) -> bytes:
    buffer = BytesIO()
    write_po(buffer, catalog, width=0, no_location=True, sort_output=True)
    return buffer.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    buffer = BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def write_catalogs() -> None:
    """Bring every catalogue up to date, and compile it. A message that is new has an empty translation."""
    for root, path, language in catalog_paths():
        catalog = updated_catalog(root, read_catalog(path, language), language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(po_bytes(catalog))
        path.with_suffix(".mo").write_bytes(mo_bytes(catalog))


def find_catalog_faults() -> list[str]:
    """What is wrong with the catalogues, a sentence each."""
    return [fault for root, path, language in catalog_paths() for fault in _faults(root, path, language)]


def _is_translated(message: Message) -> bool:
    return all(message.string) if isinstance(message.string, (list, tuple)) else bool(message.string)


def _faults(root: str, path: Path, language: str) -> Iterator[str]:
    place = path.relative_to(settings.BASE_DIR)
    catalog = read_catalog(path, language)
    if not path.exists() or path.read_bytes() != po_bytes(updated_catalog(root, catalog, language)):
        yield f"{place} does not hold what is marked: run manage.py translations"
    compiled = path.with_suffix(".mo")
    if not compiled.exists() or compiled.read_bytes() != mo_bytes(catalog):
        yield f"{place.with_suffix('.mo')} was not made of it: run manage.py translations"
    for message in catalog:
        if message.id and not _is_translated(message):
            yield f"{place} lacks {message.id!r}"
        if message.id and message.fuzzy:
            yield f"{place} is unsure of {message.id!r}"
    for message, errors in catalog.check():
        yield f"{place}: {message.id!r}: {errors[0]}"
