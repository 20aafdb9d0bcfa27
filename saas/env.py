"""Typed readers of environment variables. Every setting from outside is declared through one of these.

An invalid value is a fault; ``raise_faults()`` at the end of the settings reports all faults in one message, without values.
``declared_settings()`` lists the settings, from which the README's table is made and tested.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import getaddresses
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from dotenv import load_dotenv

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_PORTS = {"http": 80, "https": 443}
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_MINIMUM_SECRET_BYTES = 32
_MINIMUM_VARIETY = 8  # different characters
_HEX = re.compile(r"[0-9a-fA-F]+")
_BASE64 = re.compile(r"(?=.*[=+/])[A-Za-z0-9+/_-]+={0,2}")
_PLACEHOLDER_STARTS = ("dev-", "dev_", "your-", "your_", "test-", "test_", "whsec_test", "whsec_your", "<")
_PLACEHOLDERS = (
    "please-set",
    "please_set",
    "changeme",
    "change-me",
    "change_me",
    "insecure",
    "adminpass123",
    "placeholder",
)


@dataclass(frozen=True)
class Setting:
    """A declared environment variable. ``default`` is for documentation; empty for a secret."""

    name: str
    default: str
    help: str


_declared: dict[str, Setting] = {}
_faults: list[str] = []


def declared_settings() -> list[Setting]:
    """Return all variables declared so far, in that order."""
    return list(_declared.values())


def collect_faults(others: Iterable[str] = ()) -> list[str]:
    """Return the faults found since the last call, and ``others``."""
    faults = [*_faults, *others]
    _faults.clear()
    return faults


def raise_faults(faults: Sequence[str]) -> None:
    """Raise ``ImproperlyConfigured`` with all of ``faults``, if there are any."""
    from django.core.exceptions import ImproperlyConfigured  # here: a server's parent reads variables without Django

    if faults:
        raise ImproperlyConfigured("The settings are not right:\n" + "\n".join(f"- {fault}" for fault in faults))


def note_fault(sentence: str) -> None:
    """Add a fault: a sentence with the variable's name, never its value."""
    _faults.append(sentence)


def secret_weakness(value: str) -> str:
    """Return what is wrong with a secret, as the end of a sentence; empty if nothing is."""
    if not value:
        return f"must be set to at least {_MINIMUM_SECRET_BYTES} random bytes"
    if value.lower().startswith(_PLACEHOLDER_STARTS) or any(word in value.lower() for word in _PLACEHOLDERS):
        return "is a placeholder"
    if _decoded_length(value) < _MINIMUM_SECRET_BYTES:
        return f"must be set to at least {_MINIMUM_SECRET_BYTES} random bytes"
    if len(set(value)) < _MINIMUM_VARIETY or value in (value + value)[1:-1]:
        return "is not random"
    return ""


def _decoded_length(value: str) -> int:
    """Return the length in bytes, of hexadecimal or Base64 text decoded."""
    if _HEX.fullmatch(value):
        return len(value) // 2
    if _BASE64.fullmatch(value):
        return len(value.rstrip("=")) * 3 // 4
    return len(value.encode())


def load_file(path: Path) -> None:
    """Set the variables that ``path`` names and this process lacks. Tests say themselves what is set."""
    if os.environ.get("SAAS_ENV") == "test":
        return
    try:
        load_dotenv(path)
    except UnicodeDecodeError:
        note_fault(f"{path} must be UTF-8.")


def variable(name: str, *, is_secret: bool = False) -> str:
    """Return the text of a variable, without blanks and quotes around it; empty if it is not set.

    Docker's ``--env-file`` and kubectl's ``--from-env-file`` keep the quotes that a shell and ``.env`` take away. A secret
    in use may have had them from its first day: it keeps them.
    """
    value = os.environ.get(name, "").strip()
    quote = value[:1]
    is_quoted = len(value) > 1 and quote in "\"'" and value[-1] == quote and quote not in value[1:-1]
    return value[1:-1].strip() if is_quoted and not is_secret else value


def is_set(name: str) -> bool:
    """Whether a variable or its ``_FILE`` is set: for code that runs before the settings are read."""
    return bool(variable(name) or variable(f"{name}_FILE"))


def _read(name: str, default: str, help: str, aliases: Sequence[str] = (), *, is_secret: bool = False) -> str:
    _declared[name] = Setting(name, default, help)
    for candidate in (name, *aliases):
        if value := variable(candidate, is_secret=is_secret):
            return value
        if path := variable(f"{candidate}_FILE"):
            return _read_file(candidate, path, is_secret=is_secret)
    return default


def _read_file(name: str, path: str, *, is_secret: bool) -> str:
    encoding = "utf-8" if is_secret else "utf-8-sig"  # some editors begin a file with a byte order mark
    try:
        return Path(path).read_text(encoding=encoding).strip()
    except (OSError, UnicodeDecodeError):
        _faults.append(f"{name}_FILE names a file that cannot be read.")
        return ""


def text(name: str, *, help: str, default: str = "", aliases: Sequence[str] = ()) -> str:
    """A string, stripped."""
    return _read(name, default, help, aliases)


def mailbox(name: str, *, help: str, default: str = "") -> str:
    """One e-mail address, with or without a name before it; or nothing."""
    value = _read(name, default, help)
    found = [address for _, address in getaddresses([value])]
    if value != default and (len(found) != 1 or "@" not in found[0]):
        _faults.append(f'{name} must be one address, such as ops@example.com, or "Acme, Inc." <ops@example.com>.')
    return value


def split_url(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it cannot be split, most often because a password is not percent-encoded."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its message may hold a part of the password
        return None
    return parts


def choice(name: str, *, help: str, choices: Sequence[str], default: str) -> str:
    """One of ``choices``."""
    value = _read(name, default, help)
    if value not in choices:
        _faults.append(f"{name} must be one of {', '.join(choices)}.")
        return default
    return value


def boolean(name: str, *, help: str, default: bool, aliases: Sequence[str] = ()) -> bool:
    """true/false, yes/no, on/off, 1/0, in any case."""
    value = truth(_read(name, "true" if default else "false", help, aliases))
    if value is None:
        _faults.append(f"{name} must be true or false.")
        return default
    return value


def truth(text: str) -> bool | None:
    """Return what ``boolean`` makes of a text; None if it is neither."""
    word = text.lower()
    return word in _TRUE if word in _TRUE | _FALSE else None


def integer(name: str, *, help: str, default: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    """A whole number between ``minimum`` and ``maximum``, both included."""
    value = _read(name, str(default), help)
    if not _WHOLE_NUMBER.fullmatch(value) or not minimum <= int(value) <= maximum:
        _faults.append(f"{name} must be a whole number between {minimum} and {maximum}.")
        return default
    return int(value)


def comma_separated(
    name: str, *, help: str, default: Sequence[str] = (), aliases: Sequence[str] = (), are_secrets: bool = False
) -> list[str]:
    """A list separated by commas; empty items are dropped."""
    value = _read(name, ",".join(default), help, aliases, is_secret=are_secrets)
    return [item.strip() for item in value.split(",") if item.strip()]


def origins(name: str, *, help: str) -> list[str]:
    """Origins separated by commas, each as browsers send it. An address with a path is a fault: it would never match."""
    found = {as_origin(address) for address in comma_separated(name, help=help)}
    if "" in found:
        note_fault(f"{name} must list origins: https:// and a host name, without a path.")
    return sorted(found - {""})


def as_origin(address: str) -> str:
    """Return ``https://app.example.com`` for ``https://App.example.com:443/``; empty for what is no origin.

    Apps in a web view have schemes of their own: ``capacitor://localhost``.
    """
    parts = split_url(address)
    if parts is None or not parts.scheme or not parts.hostname:
        return ""
    if parts.path.strip("/") or "@" in parts.netloc or parts.query or parts.fragment:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}")


def secret(name: str, *, help: str, development_dir: Path | None, aliases: Sequence[str] = ()) -> str:
    """A secret of at least 32 bytes.

    ``development_dir``: where a secret that is not set is generated once, readable by its owner only, shared by all
    processes. ``None`` (production): the variable must be set.
    """
    value = _read(name, "", help, aliases, is_secret=True)
    if not value and development_dir is not None:
        path = development_dir / name.lower()
        return read_or_create(path, lambda: secrets.token_urlsafe(48)).strip()
    if development_dir is not None and len(value.encode()) < _MINIMUM_SECRET_BYTES:
        _faults.append(f"{name} must be set to at least {_MINIMUM_SECRET_BYTES} random bytes.")
    return value  # saas.settings.production checks its strength


def read_or_create(path: Path, make: Callable[[], str]) -> str:
    """Return the text of ``path``, made by ``make`` if the file is missing. Concurrent processes agree on one text."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(make(), encoding="utf-8")
        try:
            os.link(draft, path)  # fails if another process was first, whose text is then used
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8")
