"""The hash chain over the audit trail: every change of what was written is found (T55)."""

from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from saas.audit import hash_chain
from saas.audit.actions import record
from saas.audit.models import AuditEvent, AuditSeal
from saas.audit.signatures import sign_seal
from saas.audit.trail_start import GENESIS_DIGEST
from saas.audit.verification import Anchor, find_trail_faults, verify_recent

TABLE = AuditEvent._meta.db_table


def write(count):
    for number in range(count):
        record("test.written", actor="usr_a", target=f"usr_{number}", number=number, share=0.5)
    return list(AuditEvent.objects.order_by("pk"))


def as_owner(sql):
    """Run SQL as the table's owner, with the triggers off."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
        cursor.execute(sql)
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = origin")


def verify(*options):
    out, err = StringIO(), StringIO()
    try:
        call_command("audit_verify", *options, stdout=out, stderr=err)
    except SystemExit as end:
        return end.code, err.getvalue().strip()
    return 0, out.getvalue().strip()


def test_what_was_written_is_sealed_in_order_and_verifies(db):
    events = write(5)

    assert hash_chain.extend_chain() == 5
    assert hash_chain.extend_chain() == 0

    links = list(AuditSeal.objects.order_by("number"))
    assert [link.number for link in links] == [1, 2, 3, 4, 5]
    assert [link.event_id for link in links] == [event.pk for event in events]
    assert verify() == (0, "OK: 5 events are as they were written.")


def test_an_event_that_was_committed_late_is_sealed_late(db):
    early, late = write(2)
    seal = AuditSeal(number=1, event=late, digest=hash_chain.link_digest(late, GENESIS_DIGEST))
    seal.signature = sign_seal(seal)
    seal.save()

    hash_chain.extend_chain()

    assert list(AuditSeal.objects.order_by("number").values_list("event_id", flat=True)) == [late.pk, early.pk]
    assert list(find_trail_faults()) == []


@pytest.mark.parametrize("column", ["actor", "act_as", "action", "target", "reason", "address", "request_id"])
def test_an_edited_event_is_named(db, column):
    event = write(3)[1]
    hash_chain.extend_chain()

    as_owner(f"UPDATE {TABLE} SET {column} = 'forged' WHERE id = {event.pk}")

    assert verify() == (1, f"Event {event.pk} is not what it was (link 2).")


def test_edited_details_and_a_moved_time_are_named(db):
    first, second, _ = write(3)
    hash_chain.extend_chain()

    as_owner(f"""UPDATE {TABLE} SET data = '{{"number": 7}}' WHERE id = {first.pk}""")
    as_owner(f"UPDATE {TABLE} SET at = '2020-01-01 00:00:00+00:00' WHERE id = {second.pk}")

    assert [fault.split(" is ")[0] for fault in find_trail_faults()] == [f"Event {first.pk}", f"Event {second.pk}"]
    assert len(verify_recent(2).faults) == 1


def test_an_event_taken_out_of_the_middle_is_named(db):
    event = write(3)[1]
    hash_chain.extend_chain()

    as_owner(f"DELETE FROM {TABLE} WHERE id = {event.pk}")

    assert verify() == (1, f"Event {event.pk} is gone (link 2).")


def test_an_event_taken_out_together_with_its_link_leaves_a_gap(db):
    event = write(3)[1]
    hash_chain.extend_chain()

    as_owner("DELETE FROM audit_auditseal WHERE number = 2")
    as_owner(f"DELETE FROM {TABLE} WHERE id = {event.pk}")

    assert verify()[0] == 1
    assert list(find_trail_faults()) == ["Links 2 to 2 are gone."]


def test_a_tail_cut_off_below_an_anchor_is_found_by_the_anchor(db, caplog):
    events = write(4)
    hash_chain.extend_chain()
    with caplog.at_level("INFO", logger="saas.audit.hash_chain"):
        hash_chain.log_chain_head()
    anchor = caplog.messages[-1].removeprefix("audit_anchor ")

    as_owner("DELETE FROM audit_auditseal WHERE number > 2")
    as_owner(f"DELETE FROM {TABLE} WHERE id > {events[1].pk}")

    assert verify() == (0, "OK: 2 events are as they were written.")  # without the anchor this is not found
    assert verify(f"--anchor={anchor}") == (1, "Link 4 is gone, or not what the log says it was.")


def test_a_chain_that_was_sealed_again_without_an_event_is_found_by_the_anchor(db):
    events = write(3)
    hash_chain.extend_chain()
    anchor = Anchor.parse(str(hash_chain.log_chain_head()))
    as_owner(f"DELETE FROM {TABLE} WHERE id = {events[1].pk}")
    as_owner("DELETE FROM audit_auditseal")

    hash_chain.extend_chain()

    assert list(find_trail_faults()) == []
    assert list(find_trail_faults([anchor])) == ["Link 3 is gone, or not what the log says it was."]


def test_what_is_rolled_back_was_never_written(db):
    def fail_afterwards():
        with transaction.atomic():
            write(1)
            raise IntegrityError

    with pytest.raises(IntegrityError):
        fail_afterwards()

    assert not AuditEvent.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_writers_and_two_sealers_make_one_chain():
    def writer(_):
        for number in range(100):
            record("test.written", number=number)
        connection.close()

    def sealer(_):
        for _ in range(20):
            hash_chain.extend_chain()
        connection.close()

    with ThreadPoolExecutor(10) as pool:
        done = [*pool.map(writer, range(8)), *pool.map(sealer, range(2))]

    assert len(done) == 10
    assert verify() == (0, "OK: 800 events are as they were written.")
