"""JSON from outside, and values of the expected type from it."""

from datetime import UTC, datetime

import pytest

from saas.security.untrusted_json import (
    InvalidJSON,
    as_count,
    as_identifier,
    as_integer,
    as_object,
    as_objects,
    as_text,
    as_time,
    read_object,
)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"{", "The body is not valid JSON."),
        (b"[]", "The body must be a JSON object."),
        (b'{"a": NaN}', "The body is not valid JSON."),
        (b'{"a": 1, "a": 1}', "The body is not valid JSON."),
        (b'\xef\xbb\xbf{"a": 1}', "The body is not valid JSON."),
        (b'{"a": -1e400}', "The body holds a number that is too large."),
        (b'{"a": "\\u0000"}', "The body holds a character that is not allowed."),
        (b'{"\\udfff": 1}', "The body holds a character that is not allowed."),
        (b'{"a": [[1]]}', "The body is nested too deeply."),
        (b'{"a": [1, 2, 3]}', "A list in the body is too long."),
    ],
)
def test_what_parsers_disagree_on_is_refused(raw, sentence):
    with pytest.raises(InvalidJSON) as refusal:
        read_object(raw, max_depth=2, max_list_items=2)

    assert str(refusal.value) == sentence


def test_what_no_database_stores_can_be_replaced_instead():
    raw = b'{"a\\u0000": ["\\ud800", {"b": "\\udfff \\u00e9"}]}'

    assert read_object(raw, max_depth=3, replace_unstorable=True) == {"a\ufffd": ["\ufffd", {"b": "\ufffd \xe9"}]}


@pytest.mark.parametrize("wrong", [None, True, 7.5, "7", [], 2**53])
def test_a_value_of_the_wrong_type_counts_as_absent(wrong):
    assert (as_integer(wrong), as_count(wrong, 3), as_time(wrong), as_object(wrong)) == (None, 3, None, {})


@pytest.mark.parametrize("wrong", [None, True, 7, [], {}])
def test_what_is_no_string_is_read_as_an_empty_one(wrong):
    assert (as_text(wrong), as_identifier(wrong)) == ("", "")


def test_a_text_is_cut_and_an_identifier_is_not():
    assert (as_text("a\x00bcd\ud800", 4), as_identifier("abcd", 3), as_identifier("abc", 3)) == ("abcd", "", "abc")


def test_a_time_is_seconds_from_the_earliest_to_the_year_9999():
    assert as_time(1) == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert (as_time(0), as_time(0, earliest=0)) == (None, datetime(1970, 1, 1, tzinfo=UTC))
    assert (as_time(-1, earliest=0), as_time(253_402_300_800)) == (None, None)


def test_of_a_list_the_objects_are_taken():
    assert (as_objects([{"a": 1}, 7, None, {}]), as_objects({"a": 1}), as_count(-1, 2)) == ([{"a": 1}, {}], [], 2)
