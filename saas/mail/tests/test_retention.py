"""How long mails are kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from saas.mail.models import Mail
from saas.operations.retention import passes

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("status", "days", "template", "is_kept"),
    [
        ("sent", 399, "welcome", True),
        ("sent", 401, "welcome", False),
        ("failed", 401, "welcome", False),
        ("queued", 4000, "welcome", True),
        ("sent", 4000, "receipt", True),  # a replay of its event would send it again
    ],
)
def test_a_mail_goes_after_its_time_unless_it_waits_or_could_be_sent_again(status, days, template, is_kept):
    created_at = timezone.now() - timedelta(days=days)
    Mail.objects.create(
        template=template, recipient="kim@example.net", status=status, created_at=created_at, dedupe_key="1"
    )

    passes.delete_expired(only_due=False)

    assert Mail.objects.exists() is is_kept
