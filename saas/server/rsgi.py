"""The RSGI application of the service that ``DJANGO_SETTINGS_MODULE`` names."""

import os

from saas.server.rsgi_adapter import RSGIAdapter
from saas.wsgi import application as django

application = RSGIAdapter(django, threads=int(os.environ.get("WEB_THREADS") or 48))
