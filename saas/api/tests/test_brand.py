"""The brand's colour, whatever it is, can be read and seen in both themes."""

import re
from pathlib import Path

import pytest

from saas.api.pages.brand import DARK_GROUNDS, LIGHT_GROUNDS, brand_colors
from saas.branding.colors import contrast, mix, readable, text_color_on
from saas.testing.openapi import SERVICES

CSS = Path(__file__).resolve().parents[2] / "static" / "saas" / "pages.css"
COLORS = ["#2347c5", "#ffffff", "#000000", "#ffe600", "#00ff88", "#7f7f7f", "#ff0000", "#0e1014", "#f7f8fa"]


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
    assert contrast("#123456", "#123456") == 1
    assert (text_color_on("#ffe600"), text_color_on("#2347c5")) == ("#000000", "#ffffff")
    assert mix("#000000", "#ffffff", 0.5) == "#808080"
    assert readable("#2347c5", "#ffffff") == "#2347c5"


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize(("theme", "grounds"), [("light", LIGHT_GROUNDS), ("dark", DARK_GROUNDS)])
def test_every_brand_can_be_read_in_both_themes(color: str, theme: str, grounds: tuple[str, ...]) -> None:
    tokens = brand_colors(color)[theme]

    assert min(contrast(tokens["link"], ground) for ground in grounds) >= 4.5
    assert contrast(tokens["brand-ink"], tokens["brand"]) >= 4.5
    assert contrast(tokens["brand-ink"], tokens["brand-hover"]) >= 3
    assert contrast(tokens["brand"], grounds[0]) >= 4.5


def test_the_grounds_are_those_of_the_stylesheet() -> None:
    found = re.findall(r"--surface: (#\w+); --ground: (#\w+); --sunken: (#\w+);", CSS.read_text())

    assert found == [LIGHT_GROUNDS, DARK_GROUNDS]


@pytest.mark.parametrize("name", SERVICES)
def test_the_brand_is_a_stylesheet_and_a_picture_that_browsers_keep(service, settings, name: str) -> None:
    settings.BRAND_NAME, settings.BRAND_COLOUR = "<Acme>", "#00aa55"

    css, svg = service(name).get("/brand.css"), service(name).get("/brand.svg")

    assert css.headers["Content-Type"] == "text/css; charset=utf-8"
    assert f"--link:{brand_colors('#00aa55')['light']['link']};" in css.content.decode()
    assert svg.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert ('fill="#00aa55"' in svg.content.decode(), "&lt;</text>" in svg.content.decode()) == (True, True)
    assert css.headers["Cache-Control"] == "public, max-age=31536000, immutable"
