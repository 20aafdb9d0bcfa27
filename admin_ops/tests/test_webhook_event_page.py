"""Admin pages of webhook events, replays, and the dashboard."""

import pytest
from django.utils import timezone

from admin_ops.tests.pages import open_admin_site
from saas.accounts.models import StaffRole
from saas.audit.models import AuditEvent
from saas.billing import checkouts
from saas.billing.models import Subscription
from saas.testing.factories import event_factories, user_factories
from saas.webhook_events.models import WebhookAlert, WebhookEvent, WebhookPayload

EVENTS = "/admin/webhook_events/webhookevent/"


def receive(webhooks, event_id="evt_1", **fields):
    body = event_factories.json_bytes(event_factories.event(event_id, **fields))
    webhooks.send("POST", "/api/webhooks/stripe", raw=body, headers=event_factories.signature_headers(body))
    return WebhookEvent.objects.get(external_id=event_id)


def test_an_events_page_shows_payload_attempts_and_headers_as_text(admin_site, webhooks):
    event = receive(webhooks, object={"id": "obj_1", "object": "demo", "name": "<script>alert(1)</script>"})
    event_factories.drain()

    content = admin_site.get(f"{EVENTS}{event.pk}/change/").content.decode()

    assert "&quot;object&quot;: &quot;demo&quot;" in content
    assert "<script>alert(1)" not in content
    assert "ignored" in content
    assert "No user." in content


def test_bytes_that_are_no_event_are_shown_as_far_as_they_are_text(admin_site, webhooks):
    body = b'{"id": "evt_half'
    webhooks.send("POST", "/api/webhooks/stripe", raw=body, headers=event_factories.signature_headers(body))
    event = WebhookEvent.objects.get()

    content = admin_site.get(f"{EVENTS}{event.pk}/change/").content.decode()

    assert "{&quot;id&quot;: &quot;evt_half" in content
    assert "quarantined" in content


def test_an_event_whose_payload_is_gone_says_so_and_is_not_replayed(admin_site, webhooks):
    event = receive(webhooks)
    WebhookPayload.objects.all().delete()

    shown = admin_site.get(f"{EVENTS}{event.pk}/change/").content.decode()
    answer = admin_site.submit_form(f"{EVENTS}{event.pk}/do/replay/", {"reason": "once more"})

    assert "Deleted by retention" in shown
    assert (answer.status_code, b"cannot be replayed" in answer.content) == (409, True)


def test_an_event_is_replayed_with_a_reason(admin_site, webhooks, staff_member):
    event = receive(webhooks)
    event_factories.drain()

    admin_site.submit_form(f"{EVENTS}{event.pk}/do/replay/", {"reason": "ticket 7"})

    event.refresh_from_db()
    assert (event.status, event.replay_count) == ("replay_queued", 1)
    told = AuditEvent.objects.get(action="webhook_event.replayed")
    assert (told.actor, told.target, told.reason) == (staff_member.user.pk, "evt_1", "ticket 7")


def test_many_are_replayed_at_once_after_one_question(admin_site, webhooks):
    ids = [receive(webhooks, f"evt_{number}").pk for number in range(3)]
    event_factories.drain()
    chosen = {"action": "replay_selected", "_selected_action": ids[:2]}

    asked = admin_site.submit_form(EVENTS, chosen)
    admin_site.submit_form(EVENTS, {**chosen, "confirmed": "yes", "reason": "mended"})

    assert "Replay 2 webhook events?" in asked.content.decode()
    assert WebhookEvent.objects.filter(replay_count=1).count() == 2
    assert AuditEvent.objects.filter(action="webhook_event.replayed", reason="mended").count() == 2


def test_a_replay_needs_its_permission(admin_ops, webhooks):
    event = receive(webhooks)
    admin_site = open_admin_site(admin_ops, user_factories.create_staff_member("", StaffRole.SUPPORT_READ))

    assert "/do/replay/" not in admin_site.get(f"{EVENTS}{event.pk}/change/").content.decode()
    assert admin_site.submit_form(f"{EVENTS}{event.pk}/do/replay/", {"reason": "x"}).status_code == 403
    admin_site.submit_form(
        EVENTS, {"action": "replay_selected", "_selected_action": event.pk, "confirmed": "yes", "reason": "x"}
    )
    assert WebhookEvent.objects.get().replay_count == 0


def test_over_the_api_an_event_is_replayed_too(admin_ops, webhooks, staff_member):
    receive(webhooks)
    event_factories.drain()

    answer = admin_ops.post("/api/admin/events/evt_1/replay", {"reason": "ticket 7"}, token=staff_member.token)

    assert (answer.status_code, answer.json()["event"]["status"]) == (202, "replay_queued")
    assert AuditEvent.objects.get(action="webhook_event.replayed").reason == "ticket 7"
    assert admin_ops.post("/api/admin/events/evt_none/replay", token=staff_member.token).status_code == 404


def test_the_dashboard_shows_that_all_is_well(admin_site, customer, drain, django_assert_max_num_queries):
    checkouts.start_checkout(customer.user, plan_id="growth")
    drain()

    with django_assert_max_num_queries(45):
        content = admin_site.get("/admin/").content.decode()

    assert "79 USD" in content
    assert "+79.00 USD in 30 days" in content
    assert "Everybody has paid." in content
    assert "None: everything that came was processed." in content
    assert 'data-type="line"' in content
    assert 'data-type="bar"' in content


def test_the_dashboard_shows_what_is_wrong(admin_site, customer, webhooks, drain):
    checkouts.start_checkout(customer.user, plan_id="growth")
    drain()
    Subscription.objects.update(status="past_due", past_due_since=timezone.now())
    event = receive(webhooks)
    WebhookEvent.objects.filter(pk=event.pk).update(status="failed", last_error="Broken: on purpose")
    WebhookAlert.objects.create(kind="lag", what="an event has been due for 300 s")

    content = admin_site.get("/admin/").content.decode()

    assert customer.user.email in content
    assert "1 failed" in content
    assert "Broken: on purpose" in content
    assert "an event has been due for 300 s" in content


@pytest.mark.parametrize(
    ("role", "sees_trail"),
    [
        (StaffRole.SUPPORT_READ, False),
        (StaffRole.SUPPORT_WRITE, False),
        (StaffRole.AUDITOR, True),
        (StaffRole.ADMIN, True),
    ],
)
def test_the_dashboard_shows_each_role_what_it_may_see(admin_ops, role, sees_trail):
    content = open_admin_site(admin_ops, user_factories.create_staff_member("", role)).get("/admin/").content.decode()

    assert ("Latest in the audit trail" in content) == sees_trail
    assert ("/admin/audit/auditevent/" in content) == sees_trail
    assert "Monthly recurring revenue" in content
