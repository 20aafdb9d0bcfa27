"""WSGI entry point of whichever service ``DJANGO_SETTINGS_MODULE`` names."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.product")
os.environ.setdefault("SAAS_PROCESS", "service")

application = get_wsgi_application()
