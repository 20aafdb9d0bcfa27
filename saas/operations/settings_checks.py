"""``manage.py check`` reports the faults of settings on which other processes refuse to start. It runs without secrets."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def report_settings_faults(**kwargs: Any) -> list[CheckMessage]:
    """Return an error for each fault of the settings: the variable's name, never its value."""
    return [Error(fault, id="saas.E001") for fault in settings.SETTINGS_FAULTS]
