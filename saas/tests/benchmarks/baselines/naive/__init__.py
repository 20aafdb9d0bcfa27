"""The usual way: a DRF view, ``get_or_create``, and a Celery task for each event."""
