"""Two sendings of one form at the same time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from django.http import HttpResponse
from django.test import RequestFactory

from saas.api.pages.submissions import answer_once, earlier_answer, new_form_key

SECONDS = 5


def test_the_second_of_a_double_click_waits_for_the_answer_of_the_first() -> None:
    request = RequestFactory().post("/teams/team_1/delete", {"form_key": new_form_key()})
    assert request.POST  # read once, before two threads do
    has_begun, may_end = Event(), Event()

    def work() -> HttpResponse:
        has_begun.set()
        may_end.wait(SECONDS)
        return HttpResponse("done")

    with ThreadPoolExecutor() as threads:
        first = threads.submit(answer_once, request, "kim", work)
        has_begun.wait(SECONDS)
        second = threads.submit(answer_once, request, "kim", lambda: HttpResponse("done twice"))
        refused = threads.submit(earlier_answer, request, "kim")
        may_end.set()
        earlier = refused.result(SECONDS)

    assert earlier
    assert (first.result().content, second.result().content, earlier.content) == (b"done", b"done", b"done")
