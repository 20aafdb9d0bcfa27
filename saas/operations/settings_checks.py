"""``manage.py check`` tells what any other process would refuse to start on: it must run before there is a single secret."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def report_settings_faults(**kwargs: Any) -> list[CheckMessage]:
    """Every fault of the settings, each with the variable's name and never with its value."""
    return [Error(fault, id="saas.E001") for fault in settings.SETTINGS_FAULTS]
