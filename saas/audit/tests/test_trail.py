"""What is written to the trail and to its table of personal data, and how both are read."""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from saas.audit.actions import record, require_reason
from saas.audit.anchors import Anchor
from saas.audit.models import AuditEvent, AuditPersonalData
from saas.audit.signatures import sign_anchor
from saas.errors import Invalid
from saas.request_context import Context, use_context


@pytest.mark.parametrize(
    ("given", "stored"), [(" ticket 7\n", "ticket 7"), ("x" * 500, "x" * 500), ("x" * 501, "x" * 500)]
)
def test_a_reason_is_stored_without_blanks_and_cut_after_500_characters(given: str, stored: str) -> None:
    assert require_reason(given) == stored


@pytest.mark.parametrize("given", ["", " ", "\n\t"])
def test_blanks_are_no_reason(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        require_reason(given)

    assert refused.value.errors == {"reason": ["Say why."]}


@pytest.mark.parametrize(
    ("address", "reason", "personal_rows"),
    [("192.0.2.7", "", 1), ("", "ticket 7", 1), ("192.0.2.7", "ticket 7", 1), ("", "", 0)],
)
def test_an_event_has_the_address_and_the_reason_that_there_are(
    db, address: str, reason: str, personal_rows: int
) -> None:
    with use_context(Context("req_1", address=address)):
        record("test.written", reason=reason)

    event = AuditEvent.objects.get()
    assert (event.address, event.reason, event.request_id) == (address, reason, "req_1")
    assert AuditPersonalData.objects.count() == personal_rows


def test_during_an_impersonation_staff_act_and_the_customer_is_named(db) -> None:
    with use_context(Context("req_1", impersonator="usr_staff")):
        for actor in ("usr_customer", "usr_staff"):
            record("test.written", actor=actor)

    acted = AuditEvent.objects.order_by("pk").values_list("actor", "act_as")
    assert list(acted) == [("usr_staff", "usr_customer"), ("usr_staff", "")]


AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("conditions", "is_found"),
    [
        ({"actor": "usr_a"}, True),
        ({"actor": "usr_b"}, False),
        ({"act_as": "usr_b"}, True),
        ({"act_as": "usr_a"}, False),
        ({"target": "usr_c"}, True),
        ({"target": "usr_a"}, False),
        ({"request_id": "req_1"}, True),
        ({"request_id": "req_2"}, False),
        ({"action": "test.written"}, True),
        ({"action": "test.*"}, True),
        ({"action": "tes.*"}, False),
        ({"since": AT}, True),
        ({"since": LATER}, False),
        ({"until": AT}, False),
        ({"until": LATER}, True),
        ({"actor": "usr_a", "target": "usr_a"}, False),
    ],
)
def test_an_event_is_found_by_all_conditions_together(db, conditions: dict[str, Any], is_found: bool) -> None:
    with time_machine.travel(AT, tick=False), use_context(Context("req_1")):
        record("test.written", actor="usr_a", act_as="usr_b", target="usr_c")

    assert AuditEvent.objects.matching(**conditions).exists() is is_found


def test_signatures_of_earlier_releases_stay_valid(settings) -> None:
    """What is signed is written down here, because it may never change."""
    settings.AUDIT_KEY = "key"
    message = b'{"content":{"digest":"ab","number":7},"purpose":"anchor"}'

    assert sign_anchor(7, "ab") == hmac.new(b"key", message, "sha256").hexdigest()


@pytest.mark.parametrize("text", ["", "1", "x:ab", "-1:ab", "\u0663:ab", "1:ab:cd:ef"])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an anchor is"):
        Anchor.parse(text)
