"""What the plain door does beyond the answers of ``test_intake.py``, which all doors share."""

from io import BytesIO

import pytest

from saas.testing.clients import ServiceClient
from saas.testing.doors import PlainClient, thread_of_the_test
from saas.testing.inbox import encoded, event, signed
from saas.webhook_events.models import WebhookDelivery, WebhookEvent
from webhooks.door.threaded_writer import ThreadedWriter

STRIPE = "/api/webhooks/stripe"


@pytest.fixture
def plain(db):
    with thread_of_the_test() as thread:
        yield PlainClient(thread)


def ask(client, body, method="POST", **said):
    """The status of a signed delivery, of which the server says ``said``, too."""
    signature = signed(body)["Stripe-Signature"]
    return client.generic(method, STRIPE, body, **{"HTTP_STRIPE_SIGNATURE": signature, **said}).status_code


def test_a_plain_delivery_passes_django_by(plain):
    plain.door._django = None

    assert ask(plain, encoded(event())) == 202


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"HTTP_HOST": "localhost,evil.example"}, 400),  # a header that stood twice
        ({"CONTENT_LENGTH": "80,80"}, 400),
        ({"CONTENT_LENGTH": "+80"}, 400),
        ({"CONTENT_LENGTH": "\u00b2"}, 400),
        ({"CONTENT_LENGTH": "9" * 30}, 413),
        ({"RAW_URI": "http://evil.example/api/webhooks/stripe"}, 400),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, 403),
        ({"QUERY_STRING": "a=%00"}, 400),
        ({"method": "PUT"}, 405),
    ],
)
def test_what_djangos_view_refuses_is_refused(plain, said, status):
    view = ServiceClient("webhooks")

    assert [ask(client, encoded(event()), **said) for client in (view, plain)] == [status, status]
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("length", ["0,0", "+0", "\u00b2"])
def test_a_length_that_is_no_number_is_not_taken_for_none(plain, length):
    assert ask(plain, b"", CONTENT_LENGTH=length) == 400
    assert not WebhookEvent.objects.exists()


def test_a_signature_that_stands_twice_is_refused_as_djangos_view_does(plain):
    body = encoded(event())
    twice = ",".join([signed(body)["Stripe-Signature"]] * 2)

    assert ask(plain, body, HTTP_STRIPE_SIGNATURE=twice) == 400


def test_a_length_of_another_header_is_not_believed(plain):
    body = encoded(event())

    assert ask(plain, body, HTTP_CONTENT_LENGTH="1", HTTP_CONTENT_TYPE="text/x") == 202
    assert bytes(WebhookEvent.objects.get().payload.body) == body
    assert "text/x" not in WebhookEvent.objects.get().payload.headers.values()


def test_a_body_in_pieces_is_read_to_its_end_whatever_length_is_said_beside_it(plain):
    body = encoded(event())
    said = {**signed(body), "Transfer-Encoding": "chunked", "Content-Length": str(len(body))}

    answer = plain.generic("POST", STRIPE, body + b"!", headers=said, **{"wsgi.input_terminated": True})

    assert answer.status_code == 400  # nobody signed the last byte
    assert not WebhookEvent.objects.exists()


def test_no_more_is_read_than_the_body(plain):
    body = encoded(event())
    line = BytesIO(body + b"POST /the/next/request")

    plain.door(environ_of(plain, body, line), lambda *start: None)

    assert line.read() == b"POST /the/next/request"


class Line:
    """A connection that fails."""

    def read(self, _):
        raise OSError("reset by peer")


@pytest.mark.parametrize("line", [BytesIO(encoded(event())[:-1]), Line()], ids=["ended", "reset"])
def test_a_body_shorter_than_it_said_did_not_arrive_and_is_no_forgery(plain, line):
    body, started = encoded(event()), []

    answer = plain.door(environ_of(plain, body, line), lambda *start: started.append(start))

    [(status, headers)] = started
    assert (status, dict(headers)["content-type"]) == ("400 Bad Request", "application/problem+json")
    assert b"did not arrive" in b"".join(answer)
    assert {"x-request-id", "x-frame-options", "content-length"} < dict(headers).keys()
    assert not WebhookEvent.objects.exists()
    assert not WebhookDelivery.objects.exists()


def environ_of(plain, body, line):
    said = {"HTTP_HOST": "localhost", "HTTP_STRIPE_SIGNATURE": signed(body)["Stripe-Signature"]}
    return {
        **plain._base_environ(PATH_INFO=STRIPE, REQUEST_METHOD="POST", CONTENT_LENGTH=str(len(body)), **said),
        "wsgi.input": line,
    }


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_ended_is_a_problem_document(plain):
    plain.door._accept.__self__._writer = ThreadedWriter(lambda batch: 1 / 0)
    body = encoded(event())

    answer = plain.post(STRIPE, raw=body, headers=signed(body))

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
