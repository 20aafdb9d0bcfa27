"""Days and moments as people write them."""

from datetime import date, datetime

from babel.dates import format_date, format_datetime

from saas.localization.languages import supported_language


def long_date(day: date, locale: str) -> str:
    """``28 November 2026``; in German ``28. November 2026``. Of a moment the day in its own time zone."""
    language = supported_language(locale)
    return format_date(day, format="long", locale="en_GB" if language == "en" else language)


def short_moment(at: datetime, locale: str) -> str:
    """``28 Nov 2026, 14:05:00``; in German ``28.11.2026, 14:05:00``. In the moment's own time zone."""
    language = supported_language(locale)
    return format_datetime(at, format="medium", locale="en_GB" if language == "en" else language)
