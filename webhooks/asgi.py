"""The webhooks service for an ASGI server: the fast door beside Django. ``python -m webhooks`` serves it.

The plain WSGI way (``runserver``, ``webhooks.wsgi``) gives the same answers, slower.
"""

import os
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "saas.settings.webhooks")

from saas.wsgi import application as django
from webhooks.door.door import Door

DJANGO_THREADS = 6

application = Door(
    django,
    writing=ThreadPoolExecutor(1, thread_name_prefix="intake-writer"),
    serving=ThreadPoolExecutor(DJANGO_THREADS, thread_name_prefix="django"),
)
