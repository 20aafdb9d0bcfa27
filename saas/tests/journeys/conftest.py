"""The fixtures of the walks through a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, NARROW = 1440, 390
NewPage = Callable[..., "Page"]


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[NewPage]:
    """Make pages of browsers of their own, which fail at what our Content-Security-Policy forbids."""
    contexts, messages = [], []

    def make(*, width: int = WIDE, has_scripts: bool = True, theme: str = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=has_scripts,
            color_scheme=theme,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        return page

    yield make
    for context in contexts:
        context.close()
    assert [text for text in messages if "Refused" in text or "Content Security Policy" in text] == []
