"""The brand of the settings as a stylesheet and a picture: pages have no inline style, so these are addresses of their own."""

import hashlib
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe

from saas.branding.colors import BLACK, WHITE, mix, readable, text_color_on

# Behind text in pages.css, the least contrast last: a test compares the two.
LIGHT_GROUNDS = ("#ffffff", "#f7f8fa", "#eef1f6")
DARK_GROUNDS = ("#15181e", "#0e1014", "#1f242d")
_CACHED = "public, max-age=31536000, immutable"  # the address changes with the settings


@dataclass(frozen=True)
class Brand:
    """``logo`` is the address of a picture; empty where the icon with the first letter stands for it."""

    name: str
    logo: str
    icon: str
    stylesheet: str


def current_brand() -> Brand:
    mark = hashlib.sha256(f"{settings.BRAND_NAME}|{settings.BRAND_COLOUR}".encode()).hexdigest()[:8]
    return Brand(
        settings.BRAND_NAME,
        settings.BRAND_LOGO,
        f"{reverse('brand-icon')}?v={mark}",
        f"{reverse('brand-stylesheet')}?v={mark}",
    )


def brand_colors(color: str) -> dict[str, dict[str, str]]:
    """The tokens made of the brand's colour, for light and dark pages, each readable where it is used."""
    return {"light": _tokens(color, LIGHT_GROUNDS, BLACK), "dark": _tokens(color, DARK_GROUNDS, WHITE)}


def _tokens(color: str, grounds: tuple[str, ...], pressed: str) -> dict[str, str]:
    fill = readable(color, grounds[0])  # a button must be seen on its ground, too
    return {
        "brand": fill,
        "brand-hover": mix(fill, pressed, 0.16),
        "brand-ink": text_color_on(fill),
        "link": readable(color, *grounds),
    }


@require_safe
def brand_stylesheet(request: HttpRequest) -> HttpResponse:
    css = render_to_string("pages/brand.css", {"colors": brand_colors(settings.BRAND_COLOUR)})
    return HttpResponse(css, content_type="text/css; charset=utf-8", headers={"Cache-Control": _CACHED})


@require_safe
def brand_icon(request: HttpRequest) -> HttpResponse:
    """A square with the first letter of the brand's name: the tab's icon, and the mark where there is no logo."""
    fill = settings.BRAND_COLOUR
    svg = render_to_string(
        "pages/icon.svg", {"letter": settings.BRAND_NAME[:1].upper(), "fill": fill, "ink": text_color_on(fill)}
    )
    return HttpResponse(svg, content_type="image/svg+xml; charset=utf-8", headers={"Cache-Control": _CACHED})
