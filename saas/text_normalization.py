"""Unicode normalization of names and codes, and refusal of invisible characters in names."""

import re
import unicodedata

import idna

_LINES = {"Cc", "Zl", "Zp"}  # control characters and line breaks: names are printed in mails
_HIDDEN = {"Cf", "Co", "Cs"}  # format characters (directions, zero widths, tags), private use, surrogates
# Marks, letters and symbols that show nothing.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_BETWEEN = {"Pd", "Zs", "Cf", "Cc"}  # dashes, blanks, and what is copied along
_JOINERS = "\u200c\u200d"
_ZERO_WIDTH_JOINER = "\u200d"
_PICTURES = {"So", "Sk", "Mn"}  # emoji, their colours of skin, and the selector of their look
_VARIES = {"So", "Sm", "Sk", "Po", "Nd"}
_DOTTED_I = re.compile("\u0130|i\u0307")  # what programs make of it in lower case, too
_FIRST_I = re.compile(r"\b[iI]")
_HAN = ((0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))

NOT_ONE_LINE = "A name is one line of text."
HAS_INVISIBLE_CHARACTERS = "Leave out characters that cannot be seen or that turn the direction of the text."


def normalize_name(text: str) -> str:
    """Compose equal-looking characters alike (NFC) and strip whitespace around."""
    return unicodedata.normalize("NFC", text).strip()


def search_variants(searched: str) -> tuple[str, ...]:
    """Every form in which a searched name may be stored: as typed, NFC, NFD and NFKC, and where a word begins with an i, with
    the dotted capital of Turkish, which databases take for another letter.

    Names are stored in NFC; older rows as they were sent.
    """
    if not (term := strip_invisible(searched)):
        return ()
    found = [term, *(unicodedata.normalize(form, term) for form in ("NFC", "NFD", "NFKC"))]
    if "@" not in term:
        plain = _DOTTED_I.sub("i", found[1])
        found += [plain, _FIRST_I.sub("\u0130", plain)]
    return tuple(dict.fromkeys(found))


def name_error(name: str) -> str:
    """The sentence that says what is wrong with a name, or an empty string."""
    if any(unicodedata.category(character) in _LINES for character in name):
        return NOT_ONE_LINE
    return HAS_INVISIBLE_CHARACTERS if any(_is_hidden(name, at) for at in range(len(name))) else ""


def strip_invisible(name: str) -> str:
    """Remove from a name, such as one from a sign-in provider, what ``name_error`` refuses."""
    kept = (c for at, c in enumerate(name) if unicodedata.category(c) not in _LINES and not _is_hidden(name, at))
    return normalize_name("".join(kept))


def normalize_code(code: str) -> str:
    """A code without whitespace and dashes, in lower case and ASCII digits."""
    kept = (c for c in unicodedata.normalize("NFKC", code) if unicodedata.category(c) not in _BETWEEN)
    return "".join(str(unicodedata.decimal(c, c)) for c in kept).lower()


def _is_hidden(name: str, at: int) -> bool:
    character = name[at]
    if character in _JOINERS:
        return not _joins(name, at)
    if _is_selector(character):
        return not _has_variants(name[at - 1 : at])
    return unicodedata.category(character) in _HIDDEN or character in _BLANK or 0xE0000 <= ord(character) <= 0xE0FFF


def _joins(name: str, at: int) -> bool:
    """Whether the joiner is visible: between Persian or Indic letters, or inside an emoji sequence."""
    around = [unicodedata.category(c) for c in name[max(at - 1, 0) : at] + name[at + 1 : at + 2]]
    if name[at] == _ZERO_WIDTH_JOINER and len(around) == 2 and around[0] in _PICTURES and around[1] == "So":
        return True
    try:
        return idna.valid_contextj(name, at)
    except ValueError:
        return False


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _has_variants(before: str) -> bool:
    """Whether a variation selector can change this character: a symbol, a digit or a Chinese character."""
    is_han = bool(before) and any(first <= ord(before) <= last for first, last in _HAN)
    return is_han or (bool(before) and unicodedata.category(before) in _VARIES)
