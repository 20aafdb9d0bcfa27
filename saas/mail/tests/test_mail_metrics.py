"""What Prometheus reads of mails."""

from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from saas.mail import delivery
from saas.mail.metrics import read_mail_queue
from saas.mail.models import Mail

pytestmark = pytest.mark.django_db


def queued(name: str, due: timedelta) -> Mail:
    return Mail.objects.create(
        template="welcome", recipient=f"{name}@example.net", dedupe_key=name, next_attempt_at=timezone.now() - due
    )


def attempts(outcome: str) -> float:
    return REGISTRY.get_sample_value("mail_attempts_total", {"outcome": outcome}) or 0.0


def test_the_oldest_mail_that_is_due_says_how_late_mails_are() -> None:
    queued("later", -timedelta(hours=1))
    queued("due", timedelta(minutes=5))
    queued("older", timedelta(minutes=11))

    (metric,) = read_mail_queue()

    assert metric.name == "mails_oldest_due_seconds"
    assert 660 <= metric.samples[0].value < 720


def test_without_a_mail_that_is_due_nothing_is_late() -> None:
    queued("later", -timedelta(hours=1))

    (metric,) = read_mail_queue()

    assert metric.samples[0].value == 0


def test_an_attempt_is_counted_by_its_outcome(monkeypatch) -> None:
    before = {outcome: attempts(outcome) for outcome in ("sent", "retried", "failed")}
    with monkeypatch.context() as patch:
        patch.setattr(delivery.rendering, "render_message", lambda mail: {}[mail])  # an error of ours: tried again
        delivery.deliver_mail(queued("one", timedelta(seconds=1)).pk)

    counted = {outcome: attempts(outcome) - before[outcome] for outcome in before}
    assert counted == {"sent": 0, "retried": 1, "failed": 0}
    delivery.deliver_mail(queued("two", timedelta(seconds=1)).pk)
    assert attempts("sent") - before["sent"] == 1
