"""Where a person wanted to go before logging in: a path of these pages, never another site."""

import re

# A path and a query, plainly written: no second slash, backslash, host, or control character could be meant.
_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9_\-./~%?=&+:,@]*")
MAX_LENGTH = 500


def safe_next(wanted: str, default: str = "") -> str:
    """``wanted`` if it is a path of our own, else ``default``."""
    is_ours = len(wanted) <= MAX_LENGTH and _PATH.fullmatch(wanted) and "//" not in wanted.partition("?")[0]
    return wanted if is_ours else default
