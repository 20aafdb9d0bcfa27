"""Redact logs: credentials, one-time codes, card numbers, query strings; email addresses become pseudonyms.

Our code logs ids, never secrets; this is for texts of exceptions and lines of libraries.
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
_EXACT_NAMES = {"code", "state", "dsn", "key", "body", "headers", "query_string", "http.query"}
# Callers choose much of what is logged, so the patterns are linear: each starts only where a run of its characters starts,
# and does not backtrack.
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
    """``value`` without secrets, card numbers, query strings and email addresses."""
    return card_numbers.redact_card_numbers(
        _ADDRESS.sub(_pseudonym, _QUERY.sub(rf"\g<path>?{REDACTED}", _SECRETS.sub(_kept, value)))
    )


def redact_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for named values; a secret's name is enough to redact it."""
    return {name: REDACTED if value and is_secret_name(name) else redact_value(value) for name, value in values.items()}


def redact_value(value: Any) -> Any:
    """A log field of any type as a JSON value."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**12 else redact_text(str(value))  # may be a card number
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
    """The same address gets the same pseudonym, so that its lines can be found."""
    return f"email:{hashlib.sha256(match[0].lower().encode()).hexdigest()[:12]}"
