"""The brand of the settings, as mails show it."""

from dataclasses import dataclass

from django.conf import settings

from saas.branding.colors import readable, text_color_on

LIGHT_GROUND, DARK_GROUND = "#ffffff", "#15181e"  # of the card in ``mail/base.html``


@dataclass(frozen=True)
class ButtonColors:
    fill: str
    ink: str


@dataclass(frozen=True)
class MailBrand:
    """``logo`` is a full address, the only picture that a mail loads; empty without one."""

    name: str
    logo: str
    light: ButtonColors
    dark: ButtonColors


def mail_brand() -> MailBrand:
    logo = settings.BRAND_LOGO
    is_path = logo.startswith("/")
    return MailBrand(
        settings.BRAND_NAME,
        settings.SERVICE_BASE_URLS["product"] + logo if is_path else logo,
        _button_colors(LIGHT_GROUND),
        _button_colors(DARK_GROUND),
    )


def _button_colors(ground: str) -> ButtonColors:
    fill = readable(settings.BRAND_COLOUR, ground)
    return ButtonColors(fill, text_color_on(fill))
