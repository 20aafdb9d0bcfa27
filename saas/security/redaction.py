"""What no log ever tells: credentials, one-time codes, card numbers, what stood in a query string, whose address it was.

The code gives log lines ids and never secrets; this is for what comes along in an exception's text or another library's line.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from saas.security import card_numbers

REDACTED = "[redacted]"
_NAMES = re.compile(
    r"authorization|cookie|password|passwd|secret|token|otp|totp|pepper|credential|api_?key|private|signature|recovery",
    re.IGNORECASE,
)
_EXACT_NAMES = {"code", "state", "dsn", "key", "body", "headers"}
# Whoever calls us chooses much of what is logged: each pattern starts only where a run of its characters starts, and gives
# nothing back, so that its time grows with the length and not with the square of it.
_SECRETS = re.compile(
    r"(?P<bearer>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?"  # a JSON web token
    r"|\b(?!req_)[a-z]+(?:_[a-z]+)*_[A-Za-z0-9_-]{40,}"  # our refresh, mailed and second-factor tokens
    r"|\b(?:sk|rk|pk)_(?:live|test)_\w{8,}|\bwhsec_[\w/+=-]{8,}"  # the payment provider's
    r"|(?P<header>\b(?:authorization|(?:set-)?cookie)['\"]?\s*[=:]\s*)[^\r\n]+"
    r"|(?P<named>['\"]?\b(?:password|secret|token|otp|pepper)['\"]?\s*[=:]\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s,;&})\]]+)"
    r"|(?P<url>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*+://[^\s:/@]*):[^\s@/]+@",  # a password in a URL
    re.IGNORECASE | re.DOTALL,
)
_QUERY = re.compile(r"(?P<path>(?<![\w.~%-])[\w.~%-]++)\?[\w.~%+\[\]-]++=[^\s\"']*")
_ADDRESS = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]+(?:\.[\w-]+)+")


def redact_text(value: str) -> str:
    """``value`` without what must not be told."""
    return card_numbers.redact_card_numbers(
        _ADDRESS.sub(_pseudonym, _QUERY.sub(rf"\g<path>?{REDACTED}", _SECRETS.sub(_kept, value)))
    )


def redact_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for named values, some of which are told by their name alone."""
    return {name: REDACTED if value and is_secret_name(name) else redact_value(value) for name, value in values.items()}


def redact_value(value: Any) -> Any:
    """A log field of whatever type, as something that JSON can tell."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**12 else redact_text(str(value))  # a card number is one, too
    if isinstance(value, Mapping):
        return redact_fields({str(name): inner for name, inner in value.items()})
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact_value(inner) for inner in value]
    return redact_text(str(value))


def is_secret_name(name: str) -> bool:
    return name.lower() in _EXACT_NAMES or bool(_NAMES.search(name))


def _kept(match: re.Match[str]) -> str:
    kept = match["bearer"] or match["header"] or match["named"] or match["url"] or ""
    return f"{kept}:{REDACTED}@" if match["url"] else f"{kept}{REDACTED}"


def _pseudonym(match: re.Match[str]) -> str:
    """The same address has the same pseudonym, so that its lines can be found by who knows it."""
    return f"email:{hashlib.sha256(match[0].lower().encode()).hexdigest()[:12]}"
