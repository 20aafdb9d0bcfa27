"""Bytes that claim to be an event."""

from datetime import UTC, datetime

import pytest

from saas.testing.factories.event_factories import event, json_bytes
from saas.webhook_events.envelope import Envelope, Unreadable, parse_event_data, read_event


def envelope(payload):
    return Envelope.from_event(read_event(json_bytes(payload)))


def test_an_event_tells_whose_object_it_is_about():
    thing = {"id": "sub_1", "object": "subscription", "customer": "cus_1"}

    parsed = envelope(event("evt_1", "customer.subscription.updated", object=thing, account="acct_1"))

    assert parsed == Envelope(
        id="evt_1",
        type="customer.subscription.updated",
        created=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        api_version="2026-10-28.endive",
        livemode=False,
        account="acct_1",
        object_type="subscription",
        object_id="sub_1",
        customer_id="cus_1",
    )


@pytest.mark.parametrize(
    ("thing", "previous", "customer"),
    [
        ({"object": "customer", "id": "cus_1"}, {}, "cus_1"),
        ({"object": "invoice", "customer": {"id": "cus_2", "object": "customer"}}, {}, "cus_2"),
        ({"object": "payment_method", "customer": None}, {"customer": "cus_3"}, "cus_3"),
        ({"object": "invoice", "customer": "cus_4"}, {"customer": "cus_3"}, "cus_4"),
        ({"object": "charge"}, {}, ""),
        ({"object": "charge", "customer": 7}, {}, ""),
    ],
)
def test_the_customer_is_found_wherever_it_stands(thing, previous, customer):
    payload = event(object=thing)
    payload["data"]["previous_attributes"] = previous

    assert envelope(payload).customer_id == customer


def test_a_thin_event_names_its_object_and_its_time_in_iso_form():
    parsed = envelope(
        {
            "id": "evt_2",
            "object": "v2.core.event",
            "type": "v1.billing.meter.error_report_triggered",
            "created": "2022-02-15T00:27:45.330Z",
            "related_object": {"id": "mtr_1", "type": "billing.meter", "url": "/v1/billing/meters/mtr_1"},
            "context": "acct_9",
        }
    )

    assert (parsed.object_type, parsed.object_id, parsed.account) == ("billing.meter", "mtr_1", "acct_9")
    assert parsed.created == datetime(2022, 2, 15, 0, 27, 45, 330000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sent", "is_live"), [(True, True), (False, False), ("true", False), (1, False), (None, False)]
)
def test_an_event_is_live_only_where_it_says_so(sent, is_live):
    assert envelope(event(livemode=sent)).livemode is is_live


def test_the_object_itself_comes_before_the_one_that_is_named():
    named = {"id": "obj_2", "type": "other"}

    parsed = envelope(event(related_object=named, context="acct_9"))

    assert (parsed.object_type, parsed.object_id, parsed.account) == ("demo", "obj_1", "")  # a context is for thin ones


@pytest.mark.parametrize("name", ["id", "type"])
def test_the_longest_id_or_type_has_255_characters(name):
    assert getattr(envelope({**event(), name: "x" * 255}), name) == "x" * 255
    with pytest.raises(Unreadable):
        envelope({**event(), name: "x" * 256})


@pytest.mark.parametrize("fields", [{"api_version": None}, {"request": "req_1"}, {"request": None}, {"created": None}])
def test_fields_of_older_api_versions_may_be_null_or_strings(fields):
    parsed = envelope({**event(), **fields})

    assert parsed.id == "evt_1"
    assert parsed.api_version == ("" if "api_version" in fields else "2026-10-28.endive")
    assert (parsed.created is None) == ("created" in fields)


def test_the_events_of_the_briefs_example_has_no_object():
    parsed = envelope({"id": "evt_test_123", "type": "customer.subscription.updated", "data": {"status": "active"}})

    assert (parsed.object_type, parsed.object_id, parsed.customer_id, parsed.created) == ("", "", "", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": 7},
        {"id": ""},
        {"id": "evt 1"},
        {"id": "evt/1"},
        {"id": "evt_" + "x" * 10_000},
        {"id": "sha256:ff"},
        {"type": None},
        {"type": 7},
        {"type": ""},
        {"created": 1.5},
        {"created": True},
        {"created": -1},
        {"created": 10**18},
        {"created": "soon"},
        {"created": "0001-01-01T00:00:00+23:59"},
        {"created": [1]},
    ],
    ids=str,
)
def test_without_a_usable_id_type_or_time_it_is_no_event(changes):
    with pytest.raises(Unreadable):
        envelope({**event(), **changes})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{",
        b"\xff",
        b'{"id": "evt_1", "id": "evt_2"}',
        b'{"amount": NaN}',
        b'{"amount": 1e400}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b"[" * 100_000,
        '{"id": "evt_1"}'.encode("utf-16"),
        b'\\"' * 500_000,
        b'"' * 500_001 + b"[" * 101,
    ],
    ids=range(15),
)
def test_what_is_no_json_object_is_unreadable(body):
    with pytest.raises(Unreadable):
        read_event(body)


def test_a_hundred_levels_are_read_and_one_more_is_not():
    assert read_event(b'{"a":' * 100 + b"1" + b"}" * 100)
    with pytest.raises(Unreadable):
        read_event(b'{"a":' * 101 + b"1" + b"}" * 101)


def test_brackets_inside_strings_are_no_depth():
    assert read_event(b'{"text": "' + b"[{" * 500 + b'\\"' + b'"}')["text"] == "[{" * 500 + '"'


def test_characters_that_no_database_takes_are_replaced_for_handlers():
    parsed = read_event(b'{"data": {"object": {"name": "a\\u0000b\\ud800c", "\\u0000": ["\\udfff"]}}}')

    assert parse_event_data(parsed).object == {"name": "a\ufffdb\ufffdc", "\ufffd": ["\ufffd"]}


def test_a_byte_order_mark_is_read_over():
    assert read_event(b'\xef\xbb\xbf{"id": "evt_1"}') == {"id": "evt_1"}
