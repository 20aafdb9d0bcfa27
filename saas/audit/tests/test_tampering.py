"""Whatever the database's owner does without the key, ``audit_verify`` says so, in these words (T88)."""

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.test import override_settings

from saas import request_context
from saas.audit import hash_chain, tasks, verification
from saas.audit.actions import record
from saas.audit.anchors import Anchor
from saas.audit.models import AuditEvent, AuditSeal
from saas.audit.rotating_secrets import count_links_of_other_keys
from saas.audit.tests.test_hash_chain import as_owner, verify
from saas.audit.trail_start import GENESIS_DIGEST, record_signing_start

EVENTS, SEALS, VALUES = "audit_auditevent", "audit_auditseal", "audit_auditpersonaldata"
LENGTH = 5
COLUMNS = (
    "at, actor, act_as, action, target, reason, address, request_id, data, reason_digest, address_digest, signature"
)
UNWRITTEN = (
    "'2026-03-01 00:00:00+00:00', 'system', '', '{action}', '{target}', '', '', '', '{data}', '', '', '{signature}'"
)


@dataclasses.dataclass(frozen=True)
class Trail:
    """``ids`` of events 1 to 5; ``next`` is the id of the next one."""

    ids: list[int]
    anchors: Path

    @property
    def names(self) -> dict[str, object]:
        return {f"e{number}": pk for number, pk in enumerate(self.ids, start=1)} | {"next": self.ids[-1] + 1}


@pytest.fixture
def trail(db, settings, tmp_path) -> Trail:
    """Five events, each sealed by a run of its own, so that the file has five anchors."""
    settings.AUDIT_ANCHOR_FILE = tmp_path / "anchors"
    with request_context.use_context(request_context.Context(address="192.0.2.7")):
        for number in range(LENGTH):
            record("test.written", actor="usr_a", target=f"usr_{number}", reason="ticket 7", number=number)
            hash_chain.extend_chain()
    return Trail(list(AuditEvent.objects.order_by("pk").values_list("pk", flat=True)), tmp_path / "anchors")


def tamper(trail: Trail, statements: list[str]) -> None:
    for statement in statements:
        as_owner(statement.format(**trail.names))


def faults(trail: Trail) -> list[str]:
    """The sentences of ``audit_verify``, with e1 to e5 for the events' ids; none if it exits with 0."""
    code, output = verify()
    assert (code, output) == (0, f"OK: {AuditSeal.objects.count()} events are as they were written.") or code == 1
    names = {str(pk): name for name, pk in trail.names.items()}
    lines = output.splitlines() if code else []
    return [re.sub(r"(?<=vent )\d+", lambda found: names.get(found[0], found[0]), line) for line in lines]


def insert(action: str = "test.written", target: str = "usr_b", data: str = "{{}}", signature: str = "") -> str:
    values = UNWRITTEN.format(action=action, target=target, data=data, signature=signature)
    return f"INSERT INTO {EVENTS} (id, {COLUMNS}) VALUES ({{next}}, {values})"


def cut_below(number: int) -> list[str]:
    """Delete the links from ``number`` on, and their events."""
    return [
        f"DELETE FROM {EVENTS} WHERE id IN (SELECT event_id FROM {SEALS} WHERE number >= {number})",
        f"DELETE FROM {SEALS} WHERE number >= {number}",
    ]


def gone(*numbers: int) -> list[str]:
    return [f"Link {number} is gone, or not what the log says it was." for number in numbers]


def unsealed(*numbers: int) -> list[str]:
    return [f"Link {number} was not sealed with our key." for number in numbers]


HEAD_CUT = [
    f"DELETE FROM {EVENTS} WHERE id IN ({{e1}}, {{e2}})",
    f"DELETE FROM {SEALS} WHERE number <= 2",
]
RETIRED = '{{{{"number": 2, "digest": "{digest}", "events": 2}}}}'.format(digest="0" * 64)
SIGNING_BEGAN = '{{{{"number": 99, "first_number": 2, "first_digest": "{digest}"}}}}'.format(digest="0" * 64)
FORGED = ["Event next was not written with our key (link 6)."]
SECOND_CHANGED = ["Event e2 is not what it was (link 2)."]

TAMPERING: dict[str, tuple[list[str], list[str]]] = {
    "nothing": ([], []),
    "an event is added": ([insert()], FORGED),
    "an event is added with a signature": ([insert(signature="ab" * 32)], FORGED),
    "an event is added and dated back": ([insert().replace("2026-03-01", "2020-01-01")], FORGED),
    "an event is removed": ([f"DELETE FROM {EVENTS} WHERE id = {{e3}}"], ["Event e3 is gone (link 3)."]),
    "an event is removed with its link": (
        [f"DELETE FROM {EVENTS} WHERE id = {{e3}}", f"DELETE FROM {SEALS} WHERE number = 3"],
        ["Links 3 to 3 are gone.", *gone(3)],
    ),
    "an event's signature is taken off": (
        [f"UPDATE {EVENTS} SET signature = '' WHERE id = {{e2}}"],
        SECOND_CHANGED,
    ),
    "a link's signature is taken off": ([f"UPDATE {SEALS} SET signature = '' WHERE number = 2"], unsealed(2)),
    "a link is dated back": (
        [f"UPDATE {SEALS} SET sealed_at = '2020-01-01 00:00:00+00:00' WHERE number = 2"],
        unsealed(2),
    ),
    "a link's digest is replaced": (
        [f"UPDATE {SEALS} SET digest = '{'0' * 64}' WHERE number = 5"],
        ["Event e5 is not what it was (link 5).", *gone(5)],
    ),
    "two events change places": (
        [
            f"UPDATE {EVENTS} SET id = 900000 WHERE id = {{e2}}",
            f"UPDATE {EVENTS} SET id = {{e2}} WHERE id = {{e3}}",
            f"UPDATE {EVENTS} SET id = {{e3}} WHERE id = 900000",
        ],
        [
            *SECOND_CHANGED,
            "The address of event e2 is not what it was.",
            "The reason of event e2 is not what it was.",
            "Event e3 is not what it was (link 3).",
            "The address of event e3 is not what it was.",
            "The reason of event e3 is not what it was.",
        ],
    ),
    "two links change places": (
        [
            f"UPDATE {SEALS} SET event_id = 900000 WHERE number = 2",
            f"UPDATE {SEALS} SET event_id = {{e2}} WHERE number = 3",
            f"UPDATE {SEALS} SET event_id = {{e3}} WHERE number = 2",
        ],
        ["Event e3 is not what it was (link 2).", "Event e2 is not what it was (link 3)."],
    ),
    "the head is cut": (HEAD_CUT, ["Links 1 to 2 are gone.", *gone(1, 2)]),
    "the head is cut and a retirement forged": (
        [*HEAD_CUT, insert("audit.retired", data=RETIRED)],
        ["Links 1 to 2 are gone.", *FORGED, *gone(1, 2)],
    ),
    "the head is cut and a retirement forged with a signature": (
        [*HEAD_CUT, insert("audit.retired", data=RETIRED, signature="cd" * 32)],
        ["Links 1 to 2 are gone.", *FORGED, *gone(1, 2)],
    ),
    "the beginning of signatures is forged": ([insert("audit.signing_began", data=SIGNING_BEGAN)], FORGED),
    "the tail is cut and continued": (
        [*cut_below(5), f"DELETE FROM {VALUES} WHERE event_id = {{e5}}", insert().replace("{next}", "{e5}")],
        ["Event e5 was not written with our key (link 5).", *gone(5)],
    ),
    "the links are removed, to be made again without an event": (
        [f"DELETE FROM {EVENTS} WHERE id = {{e4}}", f"DELETE FROM {SEALS}"],
        gone(4, 5),
    ),
    "a reason is rewritten": (
        [f"UPDATE {VALUES} SET reason = 'ticket 8' WHERE event_id = {{e2}}"],
        ["The reason of event e2 is not what it was."],
    ),
    "an address is rewritten with a salt of its own": (
        [f"UPDATE {VALUES} SET address = '192.0.2.8', address_salt = 'x' WHERE event_id = {{e2}}"],
        ["The address of event e2 is not what it was."],
    ),
    "a reason is erased": (
        [f"UPDATE {VALUES} SET reason = '', reason_salt = '' WHERE event_id = {{e2}}"],
        ["The reason of event e2 is gone, and no person that it names was erased."],
    ),
    "the values of an event are removed": (
        [f"DELETE FROM {VALUES} WHERE event_id = {{e2}}"],
        [
            "The address of event e2 is gone, and no person that it names was erased.",
            "The reason of event e2 is gone, and no person that it names was erased.",
        ],
    ),
    "a reason is erased and an erasure forged": (
        [f"UPDATE {VALUES} SET reason = '' WHERE event_id = {{e2}}", insert("user.erased", target="usr_a")],
        ["The reason of event e2 is gone, and no person that it names was erased.", *FORGED],
    ),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_what_the_database_owner_does_is_named(trail, kind):
    statements, expected = TAMPERING[kind]

    tamper(trail, statements)

    assert faults(trail) == expected


NEW_VALUES = {
    **dict.fromkeys(("actor", "act_as", "action", "target", "reason", "address", "request_id"), "forged"),
    **dict.fromkeys(("reason_digest", "address_digest"), "0" * 64),
    "at": "2020-01-01 00:00:00+00:00",
    "data": '{{"number": 7}}',
    "nonce": "00000000000000000000000000000000",
}


@pytest.mark.parametrize("column", NEW_VALUES)
def test_a_change_of_any_column_is_named(trail, column):
    tamper(trail, [f"UPDATE {EVENTS} SET {column} = '{NEW_VALUES[column]}' WHERE id = {{e2}}"])

    assert faults(trail)[0] == "Event e2 is not what it was (link 2)."


@pytest.mark.parametrize("kept", range(LENGTH))
def test_a_trail_cut_after_any_link_is_named_by_the_file(trail, kept, monkeypatch):
    monkeypatch.setattr(verification, "BATCH", 2)  # the file is read in three parts
    tamper(trail, cut_below(kept + 1))

    assert faults(trail) == gone(*range(kept + 1, LENGTH + 1))


def seal_again_with_another_key(trail: Trail) -> None:
    as_owner(f"DELETE FROM {SEALS}")
    with override_settings(AUDIT_KEY="the owner's own key", AUDIT_KEY_FALLBACKS=[], AUDIT_ANCHOR_FILE=None):
        hash_chain.extend_chain()


def retire_with_another_key(trail: Trail) -> None:
    tamper(trail, HEAD_CUT)
    before = AuditSeal.objects.get(number=3)
    with override_settings(AUDIT_KEY="the owner's own key", AUDIT_KEY_FALLBACKS=[], AUDIT_ANCHOR_FILE=None):
        record("audit.retired", number=2, digest=before.digest, events=2)
        hash_chain.extend_chain()


def strip_all_signatures(trail: Trail) -> None:
    """Make the trail look as if it were from before there were signatures."""
    as_owner(f"UPDATE {EVENTS} SET signature = '', nonce = NULL, actor = 'forged'")
    as_owner(f"DELETE FROM {SEALS}")
    before = GENESIS_DIGEST
    for number, event in enumerate(AuditEvent.objects.order_by("pk"), start=1):
        before = hash_chain.link_digest(event, before)
        AuditSeal.objects.create(number=number, event=event, digest=before)


def add_an_old_anchor_to_the_file(trail: Trail) -> None:
    trail.anchors.write_text(trail.anchors.read_text() + trail.anchors.read_text().splitlines()[1] + "\n")
    tamper(trail, cut_below(5))


def add_a_forged_anchor_to_the_file(trail: Trail) -> None:
    with override_settings(AUDIT_KEY="the owner's own key", AUDIT_KEY_FALLBACKS=[]):
        forged = Anchor.of_seal(AuditSeal.objects.get(number=5))
    trail.anchors.write_text(f"{trail.anchors.read_text()}{forged}\n")


def add_an_unsigned_anchor_to_the_file(trail: Trail) -> None:
    trail.anchors.write_text(f"{trail.anchors.read_text()}{AuditSeal.objects.get(number=5)}\n")


def remove_the_file(trail: Trail) -> None:
    trail.anchors.unlink()


def insert_a_copy(trail: Trail) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'u' AND conname LIKE '%%nonce%%'",
            [EVENTS],
        )
        as_owner(f"ALTER TABLE {EVENTS} DROP CONSTRAINT {cursor.fetchone()[0]}")
    for table, key, columns in (
        (EVENTS, "id", f"{COLUMNS}, nonce"),
        (VALUES, "event_id", "address, address_salt, reason, reason_salt"),
    ):
        tamper(
            trail,
            [f"INSERT INTO {table} ({key}, {columns}) SELECT {{next}}, {columns} FROM {table} WHERE {key} = {{e2}}"],
        )


OTHER_WAYS: dict[str, tuple[Callable[[Trail], None], list[str]]] = {
    "sealed again with another key": (seal_again_with_another_key, unsealed(1, 2, 3, 4, 5)),
    "retired with another key": (
        retire_with_another_key,
        ["Links 1 to 2 are gone.", "Link 6 was not sealed with our key.", *gone(1, 2)],
    ),
    "stripped of all signatures": (
        strip_all_signatures,
        [*unsealed(1, 2, 3, 4, 5), *gone(1, 2, 3, 4, 5)],
    ),
    "an old anchor replayed": (add_an_old_anchor_to_the_file, gone(5)),
    "an anchor forged": (
        add_a_forged_anchor_to_the_file,
        ["Line 6 of AUDIT_ANCHOR_FILE is not an anchor made with our key."],
    ),
    "an anchor without signature": (
        add_an_unsigned_anchor_to_the_file,
        ["Line 6 of AUDIT_ANCHOR_FILE is not an anchor made with our key."],
    ),
    "the anchors removed": (
        remove_the_file,
        ["AUDIT_ANCHOR_FILE cannot be read, so that a tail cut off would not be found: No such file or directory."],
    ),
}


@pytest.mark.parametrize("kind", OTHER_WAYS)
def test_what_the_owner_does_with_programs_is_named(trail, kind):
    tampering, expected = OTHER_WAYS[kind]

    tampering(trail)

    assert faults(trail) == expected


@pytest.mark.postgres
def test_a_copy_of_a_genuine_event_is_named(trail):
    insert_a_copy(trail)

    assert faults(trail) == [f"Events {trail.ids[1]}, {trail.ids[-1] + 1} are copies of one."]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(3600, []), (3601, ["Event next was dated back: it was sealed after younger ones (link 7)."])],
)
def test_a_genuine_event_that_was_held_back_is_named_as_dated_back(trail, seconds, expected):
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        record("test.written", actor="usr_a")
        held = AuditEvent.objects.values(*[field.name for field in AuditEvent._meta.concrete_fields]).latest("pk")
        as_owner(f"DELETE FROM {EVENTS} WHERE id = {held['id']}")
        clock.shift(timedelta(seconds=seconds))
        record("test.written", actor="usr_a")
        hash_chain.extend_chain()

        AuditEvent(**held).save(force_insert=True)

        assert faults(trail) == expected


def test_a_clock_that_was_ahead_makes_no_later_event_dated_back(trail):
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2), tick=False):
        record("test.written", actor="usr_a")
    hash_chain.extend_chain()
    record("test.written", actor="usr_a")

    assert faults(trail) == []


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        (f"0:{'1' * 64}", "Link 0 is gone, or not what the log says it was."),
        (f"5:{'1' * 64}", "Link 5 is gone, or not what the log says it was."),
        (f"5:{'1' * 64}:{'2' * 64}", "The anchor of link 5 was not made with our key."),
    ],
)
def test_an_anchor_that_does_not_fit_is_named(trail, anchor, expected):
    assert verify(f"--anchor={anchor}") == (1, expected)


def test_an_event_that_no_run_seals_any_more_is_named(trail):
    record("test.written", actor="usr_a")
    late = AuditEvent.objects.values(*[field.name for field in AuditEvent._meta.concrete_fields]).latest("pk")
    as_owner(f"DELETE FROM {EVENTS} WHERE id = {late['id']}")
    record("test.written", actor="usr_a")
    newest = late["id"] + hash_chain.REORDER_WINDOW
    as_owner(f"UPDATE {EVENTS} SET id = {newest} WHERE id > {trail.ids[-1]}")
    hash_chain.extend_chain()

    AuditEvent(**late).save(force_insert=True)

    assert faults(trail) == ["Event next was never sealed."]
    assert AuditSeal.objects.count() == LENGTH + 1


@pytest.mark.parametrize("action", ["user.erased", "user.disowned"])
def test_an_erased_value_is_no_fault_where_the_erasure_is_signed(trail, action):
    record("test.written", actor="usr_staff", act_as="usr_0", reason="ticket 8")
    on_behalf = AuditEvent.objects.latest("pk").pk
    about, quoting = trail.ids[:2]
    as_owner(f"UPDATE {VALUES} SET reason = '', reason_salt = '' WHERE event_id IN ({about}, {quoting}, {on_behalf})")
    record(action, target="usr_0", audit_events=[quoting])
    hash_chain.extend_chain()

    assert faults(trail) == []


def test_a_key_is_replaced_without_signing_anything_again(trail, settings):
    first = settings.AUDIT_KEY

    settings.AUDIT_KEY, settings.AUDIT_KEY_FALLBACKS = "the second key", [first]
    record("test.written", actor="usr_a")
    hash_chain.extend_chain()
    assert faults(trail) == []

    assert count_links_of_other_keys() == 5

    settings.AUDIT_KEY_FALLBACKS = []
    assert faults(trail)[:5] == unsealed(1, 2, 3, 4, 5)
    settings.AUDIT_KEY = first
    assert faults(trail)[0] == "Link 6 was not sealed with our key."


def test_a_file_that_cannot_be_written_does_not_stop_the_sealing(trail, settings, caplog):
    settings.AUDIT_ANCHOR_FILE = trail.anchors / "no folder"
    record("test.written", actor="usr_a")

    assert hash_chain.extend_chain() == 1

    assert [line.message for line in caplog.records if line.levelname == "ERROR"] == ["audit_anchor_not_written"]


def test_the_file_has_every_head_signed_and_only_its_owner_reads_it(trail):
    seals = AuditSeal.objects.order_by("number")

    assert trail.anchors.read_text().splitlines() == [str(Anchor.of_seal(seal)) for seal in seals]
    assert trail.anchors.stat().st_mode & 0o777 == 0o600


def test_the_hourly_task_appends_the_head_as_well(trail):
    tasks.log_chain_head()

    lines = trail.anchors.read_text().splitlines()
    assert (len(lines), lines[-1]) == (LENGTH + 1, lines[-2])


# ── A trail that began without signatures ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def older(trail) -> Trail:
    """The same trail as the release without signatures left it, then migrated."""
    as_owner(
        f"UPDATE {EVENTS} SET signature = '', nonce = NULL, reason_digest = '', address_digest = '', reason = 'typed'"
    )
    as_owner(f"DELETE FROM {VALUES}")
    as_owner(f"DELETE FROM {SEALS}")
    trail.anchors.write_text("")
    before = GENESIS_DIGEST
    for number, event in enumerate(AuditEvent.objects.order_by("pk"), start=1):
        before = hash_chain.link_digest(event, before)
        AuditSeal.objects.create(number=number, event=event, digest=before)
    record_signing_start(AuditEvent, AuditSeal)
    record("test.written", actor="usr_a", reason="ticket 8")
    return trail


def test_what_is_older_than_signatures_verifies_as_what_it_was(older):
    assert verify() == (
        0,
        "OK: 7 events are as they were written.\n"
        "Links 1 to 5 are from before there were signatures: they fit together, but the database's owner could have made "
        "them anew.\n"
        "5 events of that time hold addresses or reasons themselves, until they are retired.",
    )
    assert count_links_of_other_keys() == 0
    assert AuditEvent.objects.earliest("pk").reason == "typed"
    assert AuditEvent.objects.latest("pk").reason == "ticket 8"


def test_a_change_of_what_is_older_is_named(older):
    tamper(older, [f"UPDATE {EVENTS} SET reason = 'forged' WHERE id = {{e2}}"])

    assert faults(older) == SECOND_CHANGED


def test_the_older_part_does_not_grow(older):
    hash_chain.extend_chain()
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1, seconds=1), tick=False):
        tamper(older, [insert().replace("{next}", "900000")])

        assert faults(older) == ["Event 900000 was not written with our key (link 8)."]


def test_processes_of_the_older_release_may_write_until_they_have_ended(older):
    tamper(older, [insert().replace("{next}", "900000").replace("2026-03-01 00:00:00", f"{datetime.now(UTC):%F %T}")])

    assert verify()[0] == 0


def test_what_was_retired_before_signing_began_is_where_the_trail_begins(db):
    retired = AuditEvent(action="audit.retired", actor="system", data={"number": 2, "digest": "d" * 64})
    AuditEvent.objects.bulk_create([retired])

    record_signing_start(AuditEvent, AuditSeal)

    began = AuditEvent.objects.get(action="audit.signing_began")
    assert began.data == {"number": 0, "first_number": 2, "first_digest": "d" * 64}


def test_without_the_record_of_its_end_nothing_older_is_accepted(older):
    as_owner(f"DELETE FROM {EVENTS} WHERE action = 'audit.signing_began'")

    assert faults(older)[:5] == unsealed(1, 2, 3, 4, 5)


def test_a_new_database_has_no_part_without_signatures(db):
    record_signing_start(AuditEvent, AuditSeal)

    assert not AuditEvent.objects.exists()
