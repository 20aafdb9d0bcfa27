"""The table of staff actions, and what is made from it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.test import RequestFactory
from rest_framework import serializers

from admin_ops.actions import ALL_ACTIONS, actions_for
from admin_ops.actions.base import ActionContext, ActionResult, AuditLabel, Endpoint, StaffAction
from admin_ops.actions.users import USER
from admin_ops.entry_labels import label_audit_event
from admin_ops.views.actions import action_urls
from saas.accounts.models import StaffRole
from saas.accounts.staff.staff_roles import StaffPermission
from saas.audit.models import AuditEvent
from saas.testing.factories import user_factories

DOCUMENT = Path(__file__).resolve().parents[2] / "saas/docs/staff.md"


def row_of(action: StaffAction) -> str:
    call = ""
    if endpoint := action.endpoint:
        call = f"`{endpoint.method.upper()} /api/admin/{endpoint.path.replace('<str:', '{').replace('>', '}')}`"
    audited = ", ".join(f"`{label.action}`" for label in action.audit)
    target = action.target.model._meta.verbose_name
    return f"| {action.label} | `{action.name}` | {target} | `{action.permission}` | {call} | {audited} |"


def test_the_document_lists_every_staff_action():
    expected = [
        "| action | name | on a | permission | API | audit event |",
        "|---|---|---|---|---|---|",
        *map(row_of, ALL_ACTIONS),
    ]

    assert "\n".join(expected) in DOCUMENT.read_text(encoding="utf-8")


def test_no_two_actions_of_a_table_share_a_name():
    names = [(action.target.model, action.name) for action in ALL_ACTIONS]

    assert len(names) == len(set(names))


class GreetBody(serializers.Serializer):
    greeting = serializers.CharField()


def _greet(user, context: ActionContext, *, greeting: str) -> ActionResult:
    return ActionResult("Greeted.", f"{context.user.email} to {user.email}: {greeting}")


GREET = StaffAction(
    name="greet",
    target=USER,
    label="Greet",
    icon="waving_hand",
    description="They are greeted.",
    permission=StaffPermission.NOTE_USERS,
    run=_greet,
    audit=(AuditLabel("user.greeted", "Greeted"),),
    endpoint=Endpoint(
        path="users/<str:user_id>/greet",
        operation_id="staff_user_greet",
        summary="Greet a person",
        tag="users",
        body=GreetBody,
        status=201,
        represent=lambda said: {"said": said},
    ),
)


def call(action, caller, user_id, body):
    [url] = action_urls([action])
    path = f"/api/admin/users/{user_id}/greet"
    request = RequestFactory().post(
        path, json.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {caller.token}"}
    )
    match = url.resolve(path.lstrip("/"))
    return match.func(request, *match.args, **match.kwargs)


def test_an_entry_in_the_table_is_an_endpoint(customer, staff_member):
    said = f"{staff_member.user.email} to {customer.user.email}: hello"

    response = call(GREET, staff_member, customer.user.pk, {"greeting": "hello"})

    assert (response.status_code, response.data) == (201, {"said": said})


@pytest.mark.parametrize(
    ("role", "user_id", "body", "status"),
    [
        (StaffRole.SUPPORT_READ, None, {}, 403),
        (StaffRole.SUPPORT_READ, "usr_unknown", {}, 404),
        (StaffRole.SUPPORT_WRITE, None, {}, 422),
    ],
)
def test_its_endpoint_looks_up_then_asks_then_reads(customer, role, user_id, body, status):
    caller = user_factories.create_staff_member("", role)

    assert call(GREET, caller, user_id or customer.user.pk, body).status_code == status


def test_a_refusal_is_reported_to_the_action_even_without_the_permission(customer):
    refusals = []
    action = replace(GREET, on_refusal=lambda user, context, refusal: refusals.append((user.pk, refusal.code)))

    call(
        action, user_factories.create_staff_member("", StaffRole.SUPPORT_READ), customer.user.pk, {"greeting": "hello"}
    )

    assert refusals == [(customer.user.pk, "forbidden")]


@pytest.mark.parametrize(
    ("audited", "icon", "title"),
    [("user.banned", "block", "Banned"), ("credentials.revoked", "key_off", "API keys and invitations ended")],
)
def test_the_timeline_labels_an_audit_event_by_the_table(audited, icon, title):
    label = label_audit_event(AuditEvent(action=audited, data={}))

    assert (label.icon, label.title) == (icon, title)


def test_billing_actions_are_not_offered_where_nothing_is_sold(settings):
    settings.BILLING = False

    assert {action.name for action in actions_for(USER.model)} == {
        "impersonate", "note", "send-reset", "revoke-sessions", "reset-mfa", "ban", "unban", "delete", "roles", "metadata",
    }  # fmt: skip
