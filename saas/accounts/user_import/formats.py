"""Read people from the exports of other systems: CSV with a header, Django's ``dumpdata``, Auth0's JSON."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils.dateparse import parse_datetime

_UNIX_TIME = re.compile(r"[0-9]{9,13}")
_LENGTH_OF_MILLISECONDS = 12
_FIRST_YEAR = 1970  # earlier is what other systems write for "never"
_TRUE, _FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0", ""}
# The names of columns and keys, in any case, with or without blanks and underscores.
_NAMES = {
    "email": ("email", "emailaddress"),
    "password_hash": ("passwordhash", "password"),
    "salt": ("passwordsalt", "salt"),
    "full_name": ("fullname", "name", "displayname"),
    "first_name": ("firstname", "givenname"),
    "last_name": ("lastname", "familyname"),
    "is_verified": ("emailverified", "verified", "isverified"),
    "created_at": ("createdat", "datejoined", "created"),
}


class UnreadableFile(Exception):
    """The file as a whole cannot be read; its message is a sentence."""


class UnreadableRow(Exception):
    """One person cannot be read; its message is a sentence."""


@dataclass(frozen=True)
class Person:
    """A person as another system exports them. ``salt``: where it is not part of the hash."""

    email: str
    password_hash: str = ""
    salt: str = ""
    full_name: str = ""
    is_verified: bool | None = None  # None: the file does not say
    created_at: datetime | None = None


@dataclass(frozen=True)
class Entry:
    """Where it stands in the file (``line 7``), and the person or the sentence that says why there is none."""

    place: str
    person: Person | None
    fault: str = ""


def read_csv(path: Path) -> Iterator[Entry]:
    """The first line names the columns: ``email`` and, as far as there are, those of ``_NAMES``; others are ignored. Between them
    stands a comma, a semicolon or a tab; a line without any value is none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = max(",;\t", key=file.readline().count)
            file.seek(0)
            rows = csv.DictReader(file, delimiter=separator, strict=True)
            if "email" not in _recognized(dict.fromkeys(rows.fieldnames or [], "")):
                raise UnreadableFile("The first line must name the columns, one of them email.")
            for row in rows:
                if any(str(value or "").strip() for value in row.values()):
                    yield _entry(f"line {rows.line_num}", row)
    except csv.Error as error:
        raise UnreadableFile(f"It is no CSV: line {rows.line_num}, {error}.") from error


def read_django(path: Path) -> Iterator[Entry]:
    """``manage.py dumpdata auth.User`` (or of another user model); with ``account.EmailAddress`` of allauth verified flags."""
    rows = [row for row in _json_list(path) if isinstance(row, dict)]
    verified = {
        (fields.get("user"), str(fields.get("email", "")).lower()): bool(fields.get("verified"))
        for fields in _fields_of(rows, "account.emailaddress")
    }
    for number, row in enumerate(rows, start=1):
        fields = row.get("fields")
        if not isinstance(fields, dict) or "email" not in fields or "password" not in fields:
            continue  # a row of another model
        entry = _entry(f"entry {number}", fields, _refuse_django)
        key = (row.get("pk"), str(fields["email"]).lower())
        if entry.person and key in verified:
            entry = replace(entry, person=replace(entry.person, is_verified=verified[key]))
        yield entry


def read_auth0(path: Path) -> Iterator[Entry]:
    """A JSON object on each line, as Auth0 exports users and hashes; or one list of them, as its bulk import takes."""
    if _first_character(path) == "[":
        for number, row in enumerate(_json_list(path), start=1):
            yield _entry(f"entry {number}", row, _refuse_auth0)
        return
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _entry(f"line {number}", _json_or_none(line), _refuse_auth0)


READERS: dict[str, Callable[[Path], Iterator[Entry]]] = {
    "csv": read_csv,
    "django": read_django,
    "auth0": read_auth0,
}


def read(path: Path, format: str) -> Iterator[Entry]:
    """Yield the entries of a file. Raises ``UnreadableFile``."""
    try:
        yield from READERS[format](path)
    except UnicodeDecodeError as error:
        raise UnreadableFile("It is not in UTF-8.") from error
    except OSError as error:
        raise UnreadableFile(f"It cannot be read: {error.strerror}.") from error


# ── One person ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _entry(place: str, row: object, refuse: Callable[[Mapping[str, Any]], str] = lambda row: "") -> Entry:
    if not isinstance(row, dict):
        return Entry(place, None, "It is no JSON object.")
    if fault := refuse(row):
        return Entry(place, None, fault)
    try:
        return Entry(place, _person(_recognized(row)))
    except UnreadableRow as error:
        return Entry(place, None, str(error))


def _person(values: Mapping[str, Any]) -> Person:
    names = (_text(values, "first_name"), _text(values, "last_name"))
    return Person(
        email=_text(values, "email"),
        password_hash=_text(values, "password_hash"),
        salt=_text(values, "salt"),
        full_name=_text(values, "full_name") or " ".join(filter(None, names)),
        is_verified=_flag(values["is_verified"]) if "is_verified" in values else None,
        created_at=_moment(values.get("created_at")),
    )


def _recognized(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the row by our names."""
    plain = {re.sub(r"[ _-]", "", str(name).lower()): value for name, value in row.items()}
    return {ours: plain[name] for ours, names in _NAMES.items() for name in reversed(names) if name in plain}


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableRow(f"Its {name} is no text.")
    return value.strip()


def _flag(value: object) -> bool:
    word = str(value if value is not None else "").strip().lower()
    if word not in _TRUE | _FALSE:
        raise UnreadableRow("Whether its address is verified must be true or false.")
    return word in _TRUE


def _moment(value: object) -> datetime | None:
    if value in (None, ""):
        return None
    text = str(value).strip()
    try:
        moment = _since_1970(text) if _UNIX_TIME.fullmatch(text) else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise UnreadableRow("Its moment of creation must be as in 2026-01-31T12:00:00Z.")
    if moment.year < _FIRST_YEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _since_1970(text: str) -> datetime:
    """In seconds, or in milliseconds, as Firebase writes it."""
    return datetime.fromtimestamp(int(text) / (1 if len(text) < _LENGTH_OF_MILLISECONDS else 1000), UTC)


def _refuse_django(fields: Mapping[str, Any]) -> str:
    if fields.get("is_staff") or fields.get("is_superuser"):
        return "It is staff: invite staff with manage.py create_staff."
    return "" if fields.get("is_active", True) else "It is not active."


def _refuse_auth0(row: Mapping[str, Any]) -> str:
    if "custom_password_hash" in row:
        return "Its custom_password_hash is not read: give its value as passwordHash."
    return "It is blocked." if row.get("blocked") is True else ""


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _first_character(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        return next((line.strip()[0] for line in file if line.strip()), "")


def _json_list(path: Path) -> list[Any]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise
        raise UnreadableFile("It is no JSON.") from error
    if not isinstance(rows, list):
        raise UnreadableFile("It must be a list of objects.")
    return rows


def _json_or_none(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _fields_of(rows: list[dict[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        if row.get("model") == model and isinstance(row.get("fields"), dict):
            yield row["fields"]
