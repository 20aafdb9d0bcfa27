"""The webhooks service for an ASGI server: the fast door beside Django. ``python -m webhooks`` serves it.

The plain WSGI way (``runserver``, ``saas.wsgi``) gives the same answers, slower.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.webhooks")

django = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # what is broken shows now, and the first answer is no slower

from webhooks.door.door import Door  # noqa: E402  (needs Django to be set up)

DJANGO_THREADS = 6

application = Door(
    django,
    writing=ThreadPoolExecutor(1, thread_name_prefix="intake-writer"),
    serving=ThreadPoolExecutor(DJANGO_THREADS, thread_name_prefix="django"),
)
