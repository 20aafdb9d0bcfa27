"""Reading the audit trail."""

import csv
import io
import json

import pytest

from admin_ops.streamed_files import csv_lines
from saas.accounts.models import StaffRole
from saas.audit import hash_chain
from saas.audit.actions import record
from saas.audit.models import AuditEvent, AuditSeal
from saas.testing.factories import user_factories


def body_of(answer):
    return b"".join(answer.streaming_content).decode()


def test_the_audit_trail_is_listed_newest_first_in_pages(admin_ops, customer, staff_member, django_assert_num_queries):
    with django_assert_num_queries(3):
        first = admin_ops.get("/api/admin/audit?limit=3", token=staff_member.token).json()
    second = admin_ops.get(f"/api/admin/audit?limit=3&cursor={first['next']}", token=staff_member.token).json()

    assert first["count"] == 4
    assert [event["action"] for event in first["events"] + second["events"]] == [
        "session.opened",
        "staff.created",
        "session.opened",
        "user.registered",
    ]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("action=user.banned", ["user.banned"]),
        ("action=user.*", ["user.banned", "user.registered"]),
        ("action=user.%25", []),
        ("actor=system", ["staff.created"]),
        ("since=2999-01-01T00:00:00Z", []),
        ("until=2000-01-01T00:00:00Z", []),
        ("until=2000-01-01T00:00:00+02:00", []),
        ("until=2999-01-01T00:00:00Z&action=user.banned", ["user.banned"]),
        ("act_as=usr_nobody", []),
        ("request_id=req_nobody", []),
        ("since=2000-01-01T00:00:00Z&action=staff.created", ["staff.created"]),
    ],
)
def test_filters_narrow_the_trail(admin_ops, customer, staff_member, query, found):
    admin_ops.put(f"/api/admin/users/{customer.user.id}/ban", {"reason": "spam"}, token=staff_member.token)

    events = admin_ops.get(f"/api/admin/audit?{query}", token=staff_member.token).json()["events"]

    assert [event["action"] for event in events] == found


def test_target_finds_what_happened_to_one_person(admin_ops, customer, staff_member):
    admin_ops.put(f"/api/admin/users/{customer.user.id}/ban", {"reason": "spam"}, token=staff_member.token)

    event = admin_ops.get(f"/api/admin/audit?target={customer.user.id}&limit=1", token=staff_member.token).json()[
        "events"
    ][0]

    assert (event["actor"], event["action"], event["reason"]) == (staff_member.user.id, "user.banned", "spam")
    assert event["request_id"].startswith("req_")


@pytest.mark.parametrize("query", ["since=yesterday", "since=99999-01-01", "actor=" + "a" * 65, "limit=0", "cursor=x"])
def test_a_query_that_does_not_fit_is_refused(admin_ops, staff_member, query):
    assert admin_ops.get(f"/api/admin/audit?{query}", token=staff_member.token).status_code == 422


@pytest.mark.parametrize("role", [StaffRole.SUPPORT_READ, StaffRole.SUPPORT_WRITE])
@pytest.mark.parametrize("path", ["/api/admin/audit", "/api/admin/audit/export"])
def test_support_does_not_read_the_whole_trail(admin_ops, db, role, path):
    assert admin_ops.get(path, token=user_factories.create_staff_member("", role).token).status_code == 403


def test_a_cell_that_a_spreadsheet_would_calculate_is_exported_as_text(admin_ops, staff_member):
    formulas = [f"{start}cmd()" for start in "=+-@\t\r"]
    harmless = 'a "quoted", reason\r\nof two lines'
    for reason in (*formulas, harmless):
        record("user.noted", actor="system", reason=reason)

    answer = admin_ops.get("/api/admin/audit/export?format=csv&action=user.noted", token=staff_member.token)
    rows = list(csv.DictReader(io.StringIO(body_of(answer), newline="")))

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="audit.csv"'
    assert answer["Cache-Control"] == "no-store"
    assert [row["reason"] for row in rows] == [*(f"'{formula}" for formula in formulas), harmless]


@pytest.mark.parametrize(("value", "cell"), [("-12.50", "-12.50"), ("-5", "-5"), ("-1+2", "'-1+2"), ("+5", "'+5")])
def test_only_a_negative_number_may_begin_with_a_minus(value, cell):
    assert list(csv_lines(["paid"], [[value]])) == ["paid\r\n", f"{cell}\r\n"]


def test_json_lines_are_the_same_events_oldest_first(admin_ops, customer, staff_member):
    listed = admin_ops.get("/api/admin/audit", token=staff_member.token).json()["events"]

    answer = admin_ops.get(
        "/api/admin/audit/export?format=jsonl", token=staff_member.token, headers={"Accept": "application/jsonl"}
    )
    exported = [json.loads(line) for line in body_of(answer).splitlines()]

    assert exported[:-1] == listed[::-1]
    assert exported[-1]["action"] == "audit.exported"
    assert AuditEvent.objects.filter(action="audit.exported", actor=staff_member.user.id).count() == 1


def test_an_export_reads_a_batch_at_a_time(staff_member, django_assert_num_queries):
    for number in range(5):
        record("user.noted", actor="system", target=f"usr_{number}")

    with django_assert_num_queries(4):  # 2 + 2 + 1, and the empty one
        events = list(AuditEvent.objects.matching(action="user.noted").in_batches(2))

    assert [event.target for event in events] == [f"usr_{number}" for number in range(5)]


@pytest.mark.parametrize("format", ["xml", "", "csv2"])
def test_an_unknown_format_is_refused(admin_ops, staff_member, format):
    assert admin_ops.get(f"/api/admin/audit/export?format={format}", token=staff_member.token).status_code == 422


def test_verification_returns_the_head_of_the_chain_and_what_waits(admin_ops, staff_member, django_assert_num_queries):
    hash_chain.extend_chain()
    record("test.written")

    with django_assert_num_queries(9):
        body = admin_ops.get("/api/admin/audit/verify", token=staff_member.token).json()

    head = AuditSeal.objects.order_by("-number").first()
    assert body == {"status": "ok", "verified": 2, "waiting": 1, "head": f"2:{head.digest}", "faults": []}


def test_verification_names_an_event_whose_seal_does_not_fit(admin_ops, staff_member):
    AuditSeal.objects.create(number=1, event=AuditEvent.objects.last(), digest="0" * 64)

    body = admin_ops.get("/api/admin/audit/verify", token=staff_member.token).json()

    assert body["status"] == "broken"
    assert len(body["faults"]) == 1


def test_a_limit_above_the_maximum_returns_a_full_page(admin_ops, staff_member):
    for number in range(101):
        record("demo.done", actor="system", target=f"obj_{number}")

    page = admin_ops.get("/api/admin/audit?limit=1000000000", token=staff_member.token).json()

    assert len(page["events"]) == 100
    assert page["next"]
