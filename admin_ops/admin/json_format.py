"""Indented JSON. The template escapes it: what a provider sends is never markup."""

import json
from typing import Any

MAX_CHARACTERS = 200_000  # more would slow the browser


def format_json(document: Any) -> str:
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
    return (
        text
        if len(text) <= MAX_CHARACTERS
        else f"{text[:MAX_CHARACTERS]}\n… {len(text) - MAX_CHARACTERS} more characters"
    )
