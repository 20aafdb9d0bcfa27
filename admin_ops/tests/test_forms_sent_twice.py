"""A form of staff that is sent twice, by a double click or a reload, does its work once."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from admin_ops.tests.pages import confirm_form
from saas.accounts.models import Impersonation, UserNote
from saas.accounts.staff import staff_administration
from saas.api.pages import submissions
from saas.audit.models import AuditEvent
from saas.billing.models import EntitlementOverride
from saas.webhook_events.models import WebhookEvent

pytestmark = pytest.mark.django_db

LAST_DAY = f"{timezone.now() + timedelta(days=200):%Y-%m-%d}"


def page_url(person, action_name):
    return f"/admin/accounts/user/{person.user.pk}/do/{action_name}/"


def form_key(answer):
    return re.search(r'name="form_key" value="([^"]+)"', answer.content.decode())[1]


def send_twice(client, path, fields):
    answers = [client.submit_form(path, fields) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0]["Location"] == answers[1]["Location"]
    return answers[0]["Location"]


def test_a_note_is_stored_once(admin_site, customer):
    path = page_url(customer, "note")

    led_to = send_twice(admin_site, path, {"text": "Called.", "form_key": form_key(admin_site.get(path))})

    assert led_to == f"/admin/accounts/user/{customer.user.pk}/change/"
    assert [note.text for note in UserNote.objects.all()] == ["Called."]


def test_the_same_note_from_a_form_that_was_opened_again_is_another(admin_site, customer):
    path = page_url(customer, "note")

    for _ in range(2):
        admin_site.submit_form(path, {"text": "Called.", "form_key": form_key(admin_site.get(path))})

    assert UserNote.objects.count() == 2


def test_another_text_in_the_same_form_is_another_note(admin_site, customer):
    """Sent, gone back to, and sent with another text."""
    path = page_url(customer, "note")
    key = form_key(admin_site.get(path))

    for text in ("Called.", "Called. They call back."):
        admin_site.submit_form(path, {"text": text, "form_key": key})

    assert [note.text for note in UserNote.objects.order_by("pk")] == ["Called.", "Called. They call back."]


def test_a_second_sending_that_overtakes_the_first_says_so(admin_site, customer, monkeypatch):
    path = page_url(customer, "note")
    sent = {"text": "Called.", "form_key": form_key(admin_site.get(path))}
    store, seconds = staff_administration.add_note, []

    def store_slowly(*args, **values):
        seconds.append(admin_site.submit_form(path, sent))
        return store(*args, **values)

    monkeypatch.setattr(submissions, "LOOKS", 0)
    monkeypatch.setattr(staff_administration, "add_note", store_slowly)
    first = admin_site.submit_form(path, sent)

    (second,) = seconds
    assert (first.status_code, second.status_code, second["Location"]) == (302, 302, first["Location"])
    assert "messages" in second.cookies  # "This was sent twice …"
    assert UserNote.objects.count() == 1


def test_a_limit_is_given_once(admin_site, customer):
    path = page_url(customer, "give-more")
    fields = {"what": "limit:seats", "value": "40", "last_day": "2099-01-01", "reason": "pilot"}

    refused = admin_site.submit_form(path, {**fields, "form_key": form_key(admin_site.get(path))})
    again = {**fields, "last_day": LAST_DAY, "form_key": form_key(refused)}
    send_twice(admin_site, path, again)

    assert refused.status_code == 422
    assert EntitlementOverride.objects.count() == 1


def test_an_impersonation_is_begun_once(admin_site, customer):
    path = page_url(customer, "impersonate")

    send_twice(admin_site, path, {"reason": "ticket 7", "minutes": "5", "form_key": form_key(admin_site.get(path))})

    assert Impersonation.objects.count() == 1


def test_an_event_is_replayed_in_bulk_once(admin_site, bought):
    event = WebhookEvent.objects.filter(status="processed").first()
    chosen = {"action": "replay_selected", "_selected_action": event.pk}
    table = "/admin/webhook_events/webhookevent/"
    asked = admin_site.submit_form(table, chosen)

    send_twice(admin_site, table, {**chosen, "confirmed": "yes", "reason": "again", "form_key": form_key(asked)})

    assert AuditEvent.objects.filter(action="webhook_event.replayed").count() == 1


def test_a_form_without_a_key_is_done_each_time(admin_site, customer):
    for _ in range(2):
        confirm_form(admin_site, page_url(customer, "note"), {"text": "Called."})

    assert UserNote.objects.count() == 2
