"""The webhooks service for a WSGI server: deliveries are stored in company, as by ``webhooks.asgi``. ``runserver`` uses it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.webhooks")

from saas.wsgi import application as django
from webhooks.door.threaded_writer import ThreadedWriter
from webhooks.door.wsgi import WSGIDoor

application = WSGIDoor(django, ThreadedWriter())
