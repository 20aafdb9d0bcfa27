"""What a ``User-Agent`` says, in two words: a list of devices must be recognized at a glance.

The header is the client's own text, and mails show it: at most its first word is repeated, and only if that has no dot.
"""

import re

from django.utils.translation import gettext

_BROWSERS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS", "Firefox"), ("CriOS", "Chrome"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"), ("python", "Python"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


_FIRST_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,29}(?![^/\s])")


def describe_agent(agent: str) -> str:
    """``Firefox on Windows``; of an unknown one its first word, if that is plain."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if browser and system:
        return gettext("{browser} on {system}").format(browser=browser, system=system)
    word = _FIRST_WORD.match(agent)
    return browser or system or (word[0] if word else gettext("Unknown device"))
