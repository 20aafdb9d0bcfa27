from django.db import connection, transaction
from django.utils import timezone

from saas.tests.benchmarks.baselines.naive.celery import app
from saas.tests.benchmarks.baselines.naive.models import NaiveEvent


@app.task
def process(event_pk):
    with transaction.atomic():
        event = NaiveEvent.objects.select_for_update().get(pk=event_pk)
        if event.processed_at:
            return
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO bench_effect (event) VALUES (%s)", [event.event_id])
        event.processed_at = timezone.now()
        event.save()
