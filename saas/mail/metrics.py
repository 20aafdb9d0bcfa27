"""Prometheus metrics of mails: attempts in the process that sends them, the queue in the database."""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client import Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from saas.mail.models import Mail
from saas.operations.metrics import register_database_metrics

ATTEMPTS = Counter("mail_attempts", "Attempts to send a mail, by outcome: sent, retried or failed.", ["outcome"])


@register_database_metrics
def read_mail_queue() -> Iterator[Metric]:
    now = timezone.now()
    oldest = Mail.objects.due(now).order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    waited = (now - oldest).total_seconds() if oldest else 0.0
    yield GaugeMetricFamily(
        "mails_oldest_due_seconds", "How long the oldest mail that is due has waited.", value=waited
    )
