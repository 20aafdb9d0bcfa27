"""A real browser for page tests: Debian's Chromium, driven by Playwright (`.ci/requirements.txt`)."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # no request but those of the page under test
    "--disable-component-update",
    "--disable-sync",
]


def missing_requirement() -> str:
    """Return why no browser test can run here, as a sentence; empty if one can."""
    if find_spec("playwright") is None:
        return "needs Playwright: pip install -r .ci/requirements.txt"
    return "" if _chromium() else "needs Chromium: apt-get install chromium"


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Start one browser process. Give every test a context of its own: ``browser.new_context()``."""
    from playwright.sync_api import sync_playwright

    # Playwright keeps an event loop in this thread, in which Django would refuse the ORM.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_FLAGS)
        yield browser
        browser.close()


def accessibility_faults(page: "Page", *, rules: Sequence[str] = ()) -> list[str]:
    """Return the names of the rules of axe that ``page`` breaks, as it is shown now; of ``rules`` only, if there are any."""
    from axe_playwright_python.sync_playwright import Axe

    options: dict[str, list[str]] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    return [fault["id"] for fault in Axe().run(page, options=options).response["violations"]]


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
