"""Alarms as staff pages show them: the sentence, the event that says so, and the button of the action that mends it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.urls import reverse

from admin_ops.offers import OfferedAction, offers_of
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing.alarms import Alarm
from saas.webhook_events.models import WebhookEvent


@dataclass(frozen=True)
class AlarmNotice:
    """``event_link`` is empty where there is no such page."""

    alarm: Alarm
    event_link: str
    remedy: OfferedAction | None


def alarm_notices(alarms: Iterable[Alarm], permissions: Collection[StaffPermission], *, back: str) -> list[AlarmNotice]:
    """``back`` is the page that an action leads back to."""
    alarms = list(alarms)
    events = WebhookEvent.objects.by_external_ids({alarm.event_id for alarm in alarms if alarm.event_id})
    known = dict(events.values_list("external_id", "pk"))
    return [
        AlarmNotice(
            alarm,
            event_link=_event_link(known.get(alarm.event_id)),
            remedy=_remedy(alarm, permissions, back),
        )
        for alarm in alarms
    ]


def _event_link(pk: int | None) -> str:
    return reverse("admin:webhook_events_webhookevent_change", args=[pk]) if pk else ""


def _remedy(alarm: Alarm, permissions: Collection[StaffPermission], back: str) -> OfferedAction | None:
    offers = offers_of(alarm.remedy_target, permissions, back=back)
    return next((offer for offer in offers if offer.action.name == alarm.remedy), None)
