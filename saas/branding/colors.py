"""Colours that can be read: the contrast of WCAG 2 (https://www.w3.org/TR/WCAG21/#contrast-minimum)."""

from functools import cache

TEXT_CONTRAST = 4.5  # level AA, text of any size
BLACK, WHITE = "#000000", "#ffffff"
_STEPS = 50

Rgb = tuple[int, int, int]


def contrast(one: str, other: str) -> float:
    """From 1, the same, to 21, black on white. Colours are ``#rrggbb``."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mix(color: str, other: str, share: float) -> str:
    """``color`` with ``share`` (0 to 1) of ``other`` in it."""
    pairs = zip(_rgb(color), _rgb(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)


def text_color_on(background: str) -> str:
    """Black or white, whichever is read better; one of them always has enough contrast."""
    return max((WHITE, BLACK), key=lambda color: contrast(color, background))


@cache
def readable(color: str, *backgrounds: str) -> str:
    """``color`` itself, or the nearest darker or lighter one that can be read as text on each of ``backgrounds``."""
    towards = text_color_on(backgrounds[0])
    shades = (mix(color, towards, step / _STEPS) for step in range(_STEPS + 1))
    return next((s for s in shades if all(contrast(s, b) >= TEXT_CONTRAST for b in backgrounds)), towards)


def _rgb(color: str) -> Rgb:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
