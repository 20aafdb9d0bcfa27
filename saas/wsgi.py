"""WSGI entry point of whichever service ``DJANGO_SETTINGS_MODULE`` names."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.product")
os.environ.setdefault("SAAS_PROCESS", "service")

application = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # what is broken shows now, and the first answer is no slower

from saas.operations.garbage_collection import freeze_loaded_objects  # noqa: E402  (after Django is set up)

freeze_loaded_objects()
