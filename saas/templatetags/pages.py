"""Filters of the base template."""

from datetime import date, datetime

from django import template
from django.utils import timezone
from django.utils.translation import get_language, gettext

from saas.accounts.models import User
from saas.localization.dates import long_date, short_moment
from saas.money import Money

register = template.Library()


@register.filter
def initials(person: User) -> str:
    """``Kim Lee`` as ``KL``; without a name the address's first letter."""
    words = person.full_name.split() or [person.email]
    return "".join(word[0] for word in dict.fromkeys((words[0], words[-1]))).upper()


@register.filter
def short_name(person: User) -> str:
    """The first name, or what stands before the address's @."""
    return (person.full_name.split() or [person.email.partition("@")[0]])[0][:24]


@register.filter
def day(moment: date | None) -> str:
    """``28 November 2026``, in German ``28. November 2026``; of a moment its day in the current time zone."""
    if moment is None:
        return ""
    local = timezone.localtime(moment) if isinstance(moment, datetime) else moment
    return long_date(local, get_language() or "en")


@register.filter
def moment(at: datetime | None) -> str:
    """``28 Nov 2026, 14:05``, in the current time zone and language."""
    return short_moment(timezone.localtime(at), get_language() or "en") if at else ""


@register.filter
def money(amount: Money | None) -> str:
    """``79 USD``, in the current language; decimals only where there are any."""
    return amount.short(get_language() or "en") if amount else ""


@register.filter
def money_exact(amount: Money | None) -> str:
    """``79.00 USD``, in the current language: for sums, which stand below each other."""
    return amount.text(get_language() or "en").replace("-", "−") if amount else ""


@register.filter
def translated(sentence: str) -> str:
    """A text that the code holds in English, such as the label of a limit."""
    return gettext(sentence) if sentence else ""
