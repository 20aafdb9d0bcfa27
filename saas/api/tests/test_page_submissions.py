"""A form that is sent a second time while its first sending still runs."""

import secrets

import pytest
from django.http import HttpResponse, HttpResponseRedirect
from django.test import RequestFactory

from saas.api.pages import submissions


@pytest.fixture
def person():
    return secrets.token_hex()


def sent(**fields):
    return RequestFactory().post("/form", {"form_key": "k1", "name": "Kim", "csrfmiddlewaretoken": "a", **fields})


def test_the_second_is_tried_itself_once_the_first_was_refused(person, monkeypatch):
    claims, slots = iter([False, True]), set()
    monkeypatch.setattr(submissions, "_claim", lambda slot: slots.add(slot) or next(claims))

    second = submissions.answer_once(sent(csrfmiddlewaretoken="b"), person, lambda: HttpResponse(status=422))

    assert (second.status_code, len(slots)) == (422, 1)


@pytest.mark.parametrize("meanwhile", [None, lambda: HttpResponseRedirect("/back")])
def test_a_first_that_takes_too_long_is_not_waited_for(person, monkeypatch, meanwhile):
    monkeypatch.setattr(submissions, "LOOKS", 0)
    seconds = []

    def work():
        seconds.append(submissions.answer_once(sent(), person, work, meanwhile=meanwhile))
        return HttpResponse("done")

    first = submissions.answer_once(sent(), person, work)

    assert first.content == b"done"
    assert [answer.headers["Location"] for answer in seconds] == ["/back" if meanwhile else "/form"]


def test_what_holds_something_else_is_another_form(person):
    answers = [
        submissions.answer_once(sent(name=name), person, lambda name=name: HttpResponse(name))
        for name in ("Kim", "Ann", "Kim")
    ]

    assert [answer.content for answer in answers] == [b"Kim", b"Ann", b"Kim"]
