"""Retiring the oldest segment of the trail: the rest verifies, and a larger deletion is found."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from saas.audit import hash_chain, retention
from saas.audit.actions import record
from saas.audit.models import AuditEvent, AuditPersonalData, AuditSeal
from saas.audit.tests.test_hash_chain import as_owner, verify
from saas.audit.trail_start import find_start
from saas.audit.verification import verify_recent

CUT = datetime(2026, 1, 1, tzinfo=UTC)


def write(number, at):
    with time_machine.travel(at, tick=False):
        record("test.written", actor="usr_a", number=number)


@pytest.fixture
def trail(db):
    """Three events of before the cut and two of after, sealed."""
    for number in range(5):
        write(number, CUT + timedelta(days=number - 3))
    hash_chain.extend_chain()


def retire(tmp_path, before="2026-01-01", name="trail.jsonl"):
    out = StringIO()
    options = [f"--before={before}", f"--archive={tmp_path / name}", "--reason=kept for a year"]
    call_command("audit_retire", *options, stdout=out, stderr=out)
    return out.getvalue()


def test_the_oldest_part_goes_into_a_file_and_the_rest_verifies(trail, tmp_path):
    output = retire(tmp_path)

    lines = [json.loads(line) for line in (tmp_path / "trail.jsonl").read_text().splitlines()]
    assert [(line["number"], line["event"]["data"]["number"]) for line in lines] == [(1, 0), (2, 1), (3, 2)]
    assert [event.data["number"] for event in AuditEvent.objects.filter(action="test.written").order_by("pk")] == [3, 4]
    assert output.startswith("3 events, up to link 3,")
    assert verify() == (0, "OK: 3 events are as they were written.")
    assert verify_recent(2).faults == verify_recent(100).faults == []


def test_the_values_beside_the_retired_events_go_and_are_not_in_the_file(db, tmp_path):
    with time_machine.travel(CUT - timedelta(days=1), tick=False):
        record("test.written", reason="ticket 7")
    record("test.written", reason="ticket 8")
    hash_chain.extend_chain()

    retire(tmp_path)

    assert "ticket 7" not in (tmp_path / "trail.jsonl").read_text()
    assert list(AuditPersonalData.objects.order_by("pk").values_list("reason", flat=True)) == [
        "ticket 8",
        "kept for a year",
    ]
    assert verify() == (0, "OK: 2 events are as they were written.")


def test_an_earlier_retirement_that_is_restored_does_not_move_the_start(trail, tmp_path):
    retire(tmp_path)
    earlier = AuditEvent.objects.values(*[field.name for field in AuditEvent._meta.concrete_fields]).get(
        action="audit.retired"
    )
    with time_machine.travel(datetime.now(UTC) + timedelta(days=400), tick=False):
        retire(tmp_path, before=f"{datetime.now(UTC) - timedelta(days=1):%F}", name="next.jsonl")
        AuditEvent(**earlier | {"id": earlier["id"] + 10}).save(force_insert=True)

        assert verify() == (
            1,
            f"Event {earlier['id'] + 10} was dated back: it was sealed after younger ones (link 8).\n"
            f"The reason of event {earlier['id'] + 10} is gone, and no person that it names was erased.",
        )
    assert find_start().link.number == 6


def test_what_was_done_is_in_the_trail_with_the_digests_of_link_and_file(trail, tmp_path):
    last = AuditSeal.objects.get(number=3).digest

    retire(tmp_path)

    event = AuditEvent.objects.get(action="audit.retired")
    digest = hashlib.sha256((tmp_path / "trail.jsonl").read_bytes()).hexdigest()
    assert event.data == {"number": 3, "digest": last, "events": 3, "archive_sha256": digest}
    assert event.reason == "kept for a year"
    assert AuditSeal.objects.filter(event=event).exists()


def test_deleting_more_than_was_retired_is_found(trail, tmp_path):
    retire(tmp_path)
    event = AuditSeal.objects.get(number=4).event_id

    as_owner("DELETE FROM audit_auditseal WHERE number = 4")
    as_owner(f"DELETE FROM audit_auditevent WHERE id = {event}")

    assert verify() == (1, "Links 4 to 4 are gone.")


def test_anchors_of_before_are_let_go_of_and_that_of_the_cut_is_compared(trail, tmp_path):
    first, cut = AuditSeal.objects.get(number=1), AuditSeal.objects.get(number=3)
    retire(tmp_path)

    assert verify(f"--anchor={first}", f"--anchor={cut}")[0] == 0
    assert verify(f"--anchor=3:{'0' * 64}") == (
        1,
        "Link 3, up to which the trail was retired, is not what the log says it was.",
    )


def test_it_can_be_done_again(trail, tmp_path):
    retire(tmp_path)

    retire(tmp_path, before="2026-01-02", name="next.jsonl")

    assert AuditEvent.objects.filter(action="test.written").count() == 1
    assert verify()[0] == 0


def test_nothing_is_retired_from_a_trail_that_is_broken(trail, tmp_path):
    as_owner("UPDATE audit_auditevent SET actor = 'forged'")

    with pytest.raises(CommandError, match="not as it was written"):
        retire(tmp_path)

    assert AuditEvent.objects.count() == 5


def test_nothing_is_retired_into_a_file_that_is_there(trail, tmp_path):
    (tmp_path / "trail.jsonl").write_text("precious")

    with pytest.raises(SystemExit):
        retire(tmp_path)

    assert AuditEvent.objects.count() == 5
    assert (tmp_path / "trail.jsonl").read_text() == "precious"


def test_where_nothing_is_old_enough_nothing_happens(trail, tmp_path):
    assert retire(tmp_path, before="2020-01-01").strip() == "Nothing is that old."
    assert not (tmp_path / "trail.jsonl").exists()


@pytest.mark.postgres
def test_the_runtime_role_cannot_and_the_triggers_stay_on(trail, tmp_path):
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE saas_retire_test")
        cursor.execute("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO saas_retire_test")
        cursor.execute("SET LOCAL ROLE saas_retire_test")

    part = retention.oldest_segment(CUT)
    with pytest.raises(DatabaseError), transaction.atomic(), (tmp_path / "trail.jsonl").open("wb") as file:
        retention.retire_segment(part, file, by="system", reason="curiosity")

    connection.cursor().execute("RESET ROLE")
    assert AuditEvent.objects.count() == 5
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        connection.cursor().execute("DELETE FROM audit_auditevent")


@pytest.mark.postgres
def test_afterwards_the_triggers_are_on(trail, tmp_path):
    retire(tmp_path)

    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        connection.cursor().execute("DELETE FROM audit_auditevent")
