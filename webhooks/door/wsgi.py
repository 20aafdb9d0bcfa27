"""The plain door: what a WSGI server's thread does with a request. A plain delivery passes Django by; all else is Django's."""

from collections.abc import Iterable
from io import BytesIO
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from webhooks.door.answers import Answer, usual_texts
from webhooks.door.plain import PATH, PlainHeaders, declared_length, forwarded_scheme, plain_headers
from webhooks.door.receiver import ROUTE, Receiver, Storing, body_did_not_arrive, refusal

# What ``plain_headers`` judges and a delivery keeps. By WSGI's rules a header that stands twice is one with a comma, which
# Django's view reads in the same way; in those that are judged here it is never plain.
_HEADERS = [
    ("CONTENT_LENGTH", b"content-length"),
    ("CONTENT_TYPE", b"content-type"),
    *[
        (f"HTTP_{name.upper().replace('-', '_')}", name.encode())
        for name in (
            "stripe-signature", "host", "content-encoding", "user-agent", "x-forwarded-for", "x-forwarded-proto",
            "x-request-id", "origin", "sec-fetch-site", "transfer-encoding", "expect",
        )
    ],
]  # fmt: skip


class WSGIDoor:
    """A WSGI application in front of ``django``."""

    def __init__(self, django: WSGIApplication, writer: Storing) -> None:
        self._django = django
        self._accept = Receiver(writer).accept

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = _plain_headers(environ) if _is_delivery(environ) else None
        if headers is None:
            return self._django(environ, start_response)
        if (body := _body(environ, declared_length(headers))) is None:
            answer = refusal("POST", ROUTE, _peer(environ), headers, body_did_not_arrive)
        elif (accepted := self._answer(_peer(environ), headers, body)) is not None:
            answer = accepted
        else:  # Django's view finds out once more, notes it, and counts it against the address
            return self._django({**environ, "wsgi.input": BytesIO(body)}, start_response)
        return answer.start(start_response, usual_texts(environ["wsgi.url_scheme"], forwarded_scheme(headers)))

    def _answer(self, peer: str, headers: PlainHeaders, body: bytes) -> Answer | None:
        answers: list[Answer] = []
        return answers[0] if self._accept(peer, headers, body, answers.append) else None


def _is_delivery(environ: WSGIEnvironment) -> bool:
    return (
        environ["PATH_INFO"] == PATH
        and environ["REQUEST_METHOD"] == "POST"
        and not environ.get("QUERY_STRING")
        and environ.get("RAW_URI", "/").startswith("/")  # gunicorn's: a whole URL names a host of its own
    )


def _plain_headers(environ: WSGIEnvironment) -> PlainHeaders | None:
    sent = [(name, environ[key].encode("latin-1", "replace")) for key, name in _HEADERS if environ.get(key)]
    headers = plain_headers(sent)
    return headers if headers and headers.get(b"content-length", b"").isdigit() else None


def _body(environ: WSGIEnvironment, length: int) -> bytes | None:
    """None for one that ends before its length."""
    try:
        body: bytes = environ["wsgi.input"].read(length)
    except OSError:
        return None
    return body if len(body) == length else None


def _peer(environ: WSGIEnvironment) -> str:
    return str(environ.get("REMOTE_ADDR", ""))
