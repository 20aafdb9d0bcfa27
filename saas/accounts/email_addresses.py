"""E-mail addresses: which are accepted, their canonical form, and the form that mail is sent to."""

import unicodedata

import idna

from saas.errors import Invalid
from saas.text_normalization import strip_invisible

MAX_LENGTH = 254
MAX_LOCAL_LENGTH = 64
_MARGINS = {"Cc", "Cf", "Zl", "Zp", "Zs"}
_LOCAL_PUNCTUATION = set("!#$%&'*+-/=?^_`{|}~.")


class InvalidAddress(Invalid):
    code, title, status = "invalid_email", "This is not an e-mail address that we can send to.", 422

    def __init__(self) -> None:
        super().__init__(errors={"email": [self.title]})


def canonical_email(address: str) -> str:
    """Return the form that look-ups, limits and the unique constraint use. Raises ``InvalidAddress``.

    The local part is ASCII (so that no look-alike letter passes) and lower case, the domain an IDNA 2008 A-label. Dots
    and plus tags are kept: whether they matter is up to the mail server.
    """
    local, domain = _parts(address)
    result = f"{local.lower()}@{_ascii_domain(domain)}"
    if len(result) > MAX_LENGTH:
        raise InvalidAddress
    return result


def deliverable_email(address: str) -> str:
    """Return the form that is stored and mailed to: as typed, but with a non-ASCII domain as its A-label.

    Python's mail library would encode such a domain by IDNA 2003, which takes straße.example for strasse.example: mail
    would go to another domain.
    """
    local, domain = _parts(address)
    return f"{local}@{domain if domain.isascii() else _ascii_domain(domain)}"


def with_ascii_domain(searched: str) -> list[str]:
    """Return the searched part of an address with its domain as it is stored, if it was typed in other letters."""
    local, at, domain = unicodedata.normalize("NFKC", strip_invisible(searched)).rpartition("@")
    if domain.isascii():
        return []
    try:
        return [f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii').lower()}"]
    except (idna.IDNAError, UnicodeError):
        return []


def _parts(address: str) -> tuple[str, str]:
    """Check the local part as typed: Unicode's normal form would turn the Kelvin sign into a plain k."""
    local, at, domain = _without_margins(address).rpartition("@")
    characters_fit = all(c.isascii() and (c.isalnum() or c in _LOCAL_PUNCTUATION) for c in local)
    dots_fit = not local.startswith(".") and not local.endswith(".") and ".." not in local
    if not at or not 0 < len(local) <= MAX_LOCAL_LENGTH or not characters_fit or not dots_fit:
        raise InvalidAddress
    return local, unicodedata.normalize("NFC", domain)


def _without_margins(address: str) -> str:
    """Leave out what is copied along: blanks, and characters that show nothing, such as those around an address in macOS."""
    shown = [at for at, character in enumerate(address) if unicodedata.category(character) not in _MARGINS]
    return address[shown[0] : shown[-1] + 1] if shown else ""


def _ascii_domain(domain: str) -> str:
    try:
        labels = idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidAddress from error
    top = labels.rpartition(".")[2]
    if "." not in labels or not top or top.isdigit():  # no bare host names, no final dot, no IP addresses
        raise InvalidAddress
    return labels
