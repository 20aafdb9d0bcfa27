"""Block optional imports: libraries that other libraries import if installed, and that this process does not use.

Saves 300 modules and 15 MB in each of the six processes, and start-up time. Must be imported first. Commands, which print
tables with ``rich``, block nothing.
"""

import sys

from saas import env
from saas.settings.environment import PROCESS

_FOR_COMMANDS_ONLY = ("rich", "jinja2")
_FOR_SETTINGS = {"opentelemetry": ("OTEL_ENDPOINT",), "requests": ("OTEL_ENDPOINT", "STRIPE_SECRET_KEY")}

if PROCESS != "command":
    unused = [name for name, settings in _FOR_SETTINGS.items() if not any(map(env.is_set, settings))]
    for library in (*_FOR_COMMANDS_ONLY, *unused):
        sys.modules.setdefault(library, None)  # type: ignore[arg-type]  # then ``import`` raises ModuleNotFoundError
