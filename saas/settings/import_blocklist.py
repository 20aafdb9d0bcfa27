"""Libraries that other libraries import in case somebody uses them together. For a service or a worker that does not, they
pass for not installed: 300 modules and 15 MB less in each of the six processes, and a faster start.

Imported first: afterwards they are there. ``django-admin`` commands, which draw tables with ``rich``, have them all.
"""

import sys

from saas import env
from saas.settings.environment import PROCESS

_FOR_COMMANDS_ONLY = ("rich", "jinja2")
_FOR_SETTINGS = {"opentelemetry": ("OTEL_ENDPOINT",), "requests": ("OTEL_ENDPOINT", "STRIPE_SECRET_KEY")}

if PROCESS != "command":
    unused = [name for name, settings in _FOR_SETTINGS.items() if not any(map(env.is_set, settings))]
    for library in (*_FOR_COMMANDS_ONLY, *unused):
        sys.modules.setdefault(library, None)  # type: ignore[arg-type]  # to the import statement: not installed
