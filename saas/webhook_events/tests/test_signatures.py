"""Stripe's scheme: every vector, the official SDK as oracle, and single-byte changes."""

import base64
import json

import pytest
import stripe
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.testing.factories import event_factories
from saas.webhook_events.signatures import BadSignature, sign, verify

SECRET = "whsec_test"
NOW = 1_700_000_000
BODY = b'{"id": "evt_1"}'

# Where our rules answer otherwise than the vectors' authors: a timestamp stands once, is digits and nothing else, and not ahead.
OUR_ANSWERS = {
    "stale_negative": "malformed",
    "future_one_day": "stale",
    "t_leading_zero": "no_match",
    "v1_with_second_equals": "no_match",
    **dict.fromkeys(
        ("t_huge", "t_with_plus", "t_with_underscores", "t_arabic_digits", "two_t_first_good", "two_t_second_good"),
        "malformed",
    ),
}


def verdict(header, body, secrets, now=NOW, tolerance=300):
    try:
        verify(header, body, secrets=secrets, tolerance_seconds=tolerance, now=now)
    except BadSignature as error:
        return error.reason
    return "ok"


def vectors():
    folder = event_factories.stripe_samples()
    return json.loads((folder / "signature_vectors.json").read_text())["vectors"] if folder else []


if vectors():

    @pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
    def test_every_vector_is_answered_as_its_authors_expect(vector):
        answer = verdict(
            vector["header"] or "",
            base64.b64decode(vector["body_base64"]),
            vector["secrets"],
            vector["now"],
            vector["tolerance"],
        )

        assert answer == OUR_ANSWERS.get(vector["name"], vector["expect"])

    def test_the_vectors_are_all_there():
        assert len(vectors()) == 89


HEADER_PARTS = st.sampled_from(
    [
        f"t={NOW}",
        f"t={NOW - 301}",
        "t=1",
        "t=",
        "t=x",
        "v0=00",
        "v1=",
        "v1=00",
        "v1=\u00e9",
        "v1",
        "",
        " ",
        "x=y",
        "{good}",
    ]
)


@settings(max_examples=500, deadline=None)
@given(parts=st.lists(HEADER_PARTS, max_size=5), body=st.sampled_from([BODY, b"", b"\xff\xfe", b"{}"]))
def test_the_official_sdk_and_we_agree_and_where_it_crashes_we_refuse(parts, body):
    good = sign(body, secret=SECRET, at=NOW).partition(",")[2]
    header = ",".join(parts).replace("{good}", good)

    ours, theirs = verdict(header, body, [SECRET]), sdks_verdict(header, body)

    if theirs == "ok":
        assert ours == "ok" or not is_plain(header)
    elif theirs == "SignatureVerificationError" or good not in header:
        assert ours != "ok"
    else:  # it crashes on something beside a good signature
        assert ours == "ok" or not is_plain(header) or f"t={NOW}" not in header


def sdks_verdict(header, body):
    try:
        with time_machine.travel(NOW, tick=False):
            stripe.WebhookSignature.verify_header(body.decode(), header, SECRET, tolerance=300)
    except Exception as error:  # SignatureVerificationError, or what escapes from it
        return type(error).__name__
    return "ok"


def is_plain(header):
    """Where we are stricter than the SDK: one time, and a value for everything."""
    return header.count("t=") == 1 and not {"t", "v1"} & set(header.split(","))


@settings(max_examples=200, deadline=None)
@given(body=st.text(), secret=st.text(alphabet=st.characters(codec="ascii", min_codepoint=33), min_size=1))
def test_what_the_official_sdk_signs_we_accept(body, secret):
    header = stripe.WebhookSignature.generate_signature_header(body, secret, timestamp=NOW)

    assert verdict(header, body.encode(), [secret]) == "ok"
    assert header == sign(body.encode(), secret=secret, at=NOW)


@settings(max_examples=300, deadline=None)
@given(header=st.text(alphabet="tv10=,; 9af\u00e9\n", max_size=60) | st.text(max_size=60), body=st.binary(max_size=20))
def test_no_header_whatever_passes_or_crashes(header, body):
    assert verdict(header, body, [SECRET]) in {"malformed", "no_match"}


@settings(max_examples=200, deadline=None)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7), part=st.sampled_from(["body", "t", "v1"]))
def test_no_single_bit_can_be_changed(place, bit, part):
    header = sign(BODY, secret=SECRET, at=NOW)
    body = BODY
    if part == "body":
        body = flipped(BODY, place, bit)
    else:
        timestamp, signature = header.split(",")
        raw = (timestamp if part == "t" else signature).encode()
        start = len(part) + 1
        changed = (raw[:start] + flipped(raw[start:], place, bit)).decode("latin-1")
        header = f"{changed},{signature}" if part == "t" else f"{timestamp},{changed}"

    assert verdict(header, body, [SECRET]) != "ok"


def flipped(raw, place, bit):
    place %= len(raw)
    return raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]


@pytest.mark.parametrize(("age", "answer"), [(299, "ok"), (300, "ok"), (301, "stale"), (-299, "ok"), (-301, "stale")])
def test_age_counts_in_both_directions(age, answer):
    assert verdict(sign(BODY, secret=SECRET, at=NOW - age), BODY, [SECRET]) == answer


def test_the_sixty_fourth_signature_counts_and_a_sixty_fifth_is_too_many():
    timestamp, good = sign(BODY, secret=SECRET, at=NOW).split(",")
    others = ",".join(["v1=" + "0" * 64] * 63)

    assert verdict(f"{timestamp},{others},{good}", BODY, [SECRET]) == "ok"
    assert verdict(f"{timestamp},v1=0,{others},{good}", BODY, [SECRET]) == "malformed"


@pytest.mark.parametrize("secrets", [[], [""], ["  "], ["", "\n"]])
@pytest.mark.parametrize("forged", ["", "  ", "\n"])
def test_an_unset_secret_verifies_nothing(secrets, forged):
    assert verdict(sign(BODY, secret=forged, at=NOW), BODY, secrets) == "no_match"


def test_a_header_over_eight_kilobytes_is_not_read():
    header = sign(BODY, secret=SECRET, at=NOW) + ",x="
    longest = header + "0" * (8192 - len(header))

    assert verdict(longest, BODY, [SECRET]) == "ok"
    assert verdict(longest + "0", BODY, [SECRET]) == "malformed"
