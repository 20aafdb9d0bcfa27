"""Which events a page or an alert asks for."""

import pytest

from saas.testing.factories.event_factories import event
from saas.webhook_events.actions import append_event, set_attention
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def one_of_each_status():
    for status in WebhookEvent.Status.values:
        append_event(event(f"evt_{status}"), source=WebhookEvent.Source.FETCH)
        WebhookEvent.objects.filter(external_id=f"evt_{status}").update(status=status)


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("in_progress", {"queued", "replay_queued"}),
        ("in_trouble", {"failed", "retry_scheduled", "quarantined"}),
    ],
)
def test_an_events_status_says_where_it_is_listed(one_of_each_status, name, statuses):
    assert set(getattr(WebhookEvent.objects.all(), name)().values_list("status", flat=True)) == statuses


def test_events_that_need_attention_are_listed_newest_first_with_why():
    for number in (1, 2, 3):
        append_event(event(f"evt_{number}"), source=WebhookEvent.Source.FETCH)
    set_attention("evt_1", "x" * 501)
    set_attention("evt_2", "no price")
    set_attention("evt_2", "")
    set_attention("evt_3", "no price")

    listed = WebhookEvent.objects.needing_attention().values_list("external_id", "attention")

    assert list(listed) == [("evt_3", "no price"), ("evt_1", "x" * 500)]
