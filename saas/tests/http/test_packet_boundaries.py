"""Packet boundaries change no answer: hypothesis chooses where the bytes are cut."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.tests.http.case import NOTHING, chunked, request_head, smuggled_request
from saas.tests.http.cases import pipelined
from saas.tests.http.raw_client import exchange
from saas.tests.http.services import Edge, Target, get

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.django_db, pytest.mark.xdist_group("edge")]

CUTS = st.lists(st.floats(0, 1), max_size=12)
SHORT, LONG = 20, 100
WITHOUT_LIMITS = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def cut(whole: bytes, places: list[float]) -> list[bytes]:
    """The pieces between ``places``, which are parts of the length."""
    ends = sorted({0, len(whole), *(int(place * len(whole)) for place in places)})
    return [whole[start:end] for start, end in pairwise(ends)]


def answered(target: Target, whole: bytes, places: list[float]) -> str:
    return target.described(exchange(target.address, *cut(whole, places), pause_seconds=0.002))


def in_chunks(target: Target) -> bytes:
    """A body in chunks of at most 30 bytes, then another request."""
    body = target.post_body()
    start = request_head(
        target, f"POST {target.post_path} HTTP/1.1", *target.post_headers(body), "Transfer-Encoding: chunked"
    )
    pieces = (body[at : at + 30] for at in range(0, len(body), 30))
    return start + b"".join(chunked(piece, b"") for piece in pieces) + b"0\r\n\r\n" + get(target.host, NOTHING)


def upgrading(target: Target) -> bytes:
    body = smuggled_request(target)
    headers = ("Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {len(body)}")
    return request_head(target, "POST /health HTTP/1.1", *headers) + body + get(target.host)


def broken(target: Target) -> bytes:
    """A chunk that ends before its line does, and what would be a request if it did not."""
    return (
        request_head(target, "POST /health HTTP/1.1", "Transfer-Encoding: chunked") + b"3\r\nabcGET / HTTP/1.1\r\n\r\n"
    )


@settings(max_examples=SHORT, **WITHOUT_LIMITS)
@given(places=CUTS)
def test_cuts_change_no_answer_of_the_intake(edge: Edge, places: list[float]) -> None:
    target = edge.target("webhooks")

    assert answered(target, pipelined(target), places) == "200 ok 404 200"
    assert answered(target, in_chunks(target), places) == "ok 404"


@settings(max_examples=SHORT, **WITHOUT_LIMITS)
@given(places=CUTS)
def test_wherever_it_is_cut_an_upgrade_has_one_answer(edge: Edge, places: list[float]) -> None:
    target = edge.target("webhooks")

    assert answered(target, upgrading(target), places) == "405"


@pytest.mark.long
@pytest.mark.parametrize("way", ["direct", "proxied"])
@pytest.mark.parametrize("service", ["product", "webhooks"])
@settings(max_examples=LONG, **WITHOUT_LIMITS)
@given(places=CUTS)
def test_many_cuts_change_no_answer(edge: Edge, service: str, way: str, places: list[float]) -> None:
    target = edge.target(service, way)

    assert answered(target, pipelined(target), places) == "200 ok 404 200"
    assert answered(target, in_chunks(target), places) == "ok 404"
    assert answered(target, upgrading(target), places) == ("405 200" if target.is_proxied else "405")
    assert answered(target, broken(target), places) == "400"
