"""The webhooks service for ``manage.py serve``: on PostgreSQL with the short path of its intake in front."""

from django.conf import settings
from django.db import connection

from saas.server.rsgi import application as bridge
from webhooks.intake.batch_writer import BatchWriter
from webhooks.intake.short_path import ShortPath, connect

_is_postgres = connection.vendor == "postgresql"
_writer = BatchWriter(connect, answer_seconds=settings.DATABASE_ANSWER_SECONDS)
application = ShortPath(bridge, _writer) if _is_postgres else bridge
