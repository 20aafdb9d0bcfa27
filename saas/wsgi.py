"""WSGI entry point of the service that ``DJANGO_SETTINGS_MODULE`` names. Imports every view, so that errors show at start-up."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.product")
os.environ.setdefault("SAAS_PROCESS", "service")

application = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # errors show now, and the first request is no slower

# Everything is loaded: the collector leaves aside what it is, most of it never garbage, and runs less often.
_YOUNG_OBJECTS = (
    10_000  # containers made between two collections of the youngest; Python's own 700 is one small request
)
gc.collect()
gc.freeze()
gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
