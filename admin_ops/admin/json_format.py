"""JSON for people. It is shown as text, and the template escapes it: what a provider sends is never markup."""

import json
from typing import Any

LONGEST = 200_000  # characters: a browser has to lay them out


def pretty(document: Any) -> str:
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… {len(text) - LONGEST} more characters"
