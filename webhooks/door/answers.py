"""What goes back: a status, headers, and the whole body. No answer of this service is long."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from http.client import responses
from typing import Any, NamedTuple
from wsgiref.types import StartResponse

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# The middleware that adds headers to every answer, whatever the request.
_DECORATING = {
    "saas.api.middleware.HeadersMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
}


class Answer(NamedTuple):
    status: int
    headers: Headers
    body: bytes

    @classmethod
    def of(cls, response: HttpResponseBase) -> "Answer":
        """A response of Django's that has not been through its middleware."""
        own = _encoded(response.headers.items())
        return cls(response.status_code, own, getattr(response, "content", b""))

    async def send(self, send: Send, *more: tuple[bytes, bytes]) -> None:
        length = (b"content-length", str(len(self.body)).encode())
        headers = [*self.headers, *more, length]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})

    def start(self, start_response: StartResponse, usual: Iterable[tuple[str, str]]) -> list[bytes]:
        """The whole answer of a WSGI application, with headers from elsewhere."""
        own = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        headers = [*own, *usual, ("content-length", str(len(self.body)))]
        start_response(f"{self.status} {responses[self.status]}", headers)
        return [self.body]

    def on_the_wire(self, more: bytes) -> bytes:
        """The whole answer, with header lines from elsewhere."""
        length = b"content-length: %d\r\n\r\n" % len(self.body)
        return b"".join((STATUS_LINE[self.status], more, lines(self.headers), length, self.body))


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """As they go over the wire."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


class _Probe(HttpRequest):
    """A request of which nothing is known but its scheme."""

    def __init__(self, given_scheme: str) -> None:
        super().__init__()
        self.given_scheme = given_scheme

    def _get_scheme(self) -> str:
        return self.given_scheme


@lru_cache(maxsize=64)  # the forwarded scheme is the caller's to choose
def usual_headers(scheme: str, forwarded_scheme: str) -> Headers:
    """What Django's middleware adds to an answer in JSON: asked of the middleware itself, once."""
    request = _Probe(scheme)
    request.META = {"HTTP_X_FORWARDED_PROTO": forwarded_scheme}

    def respond(_: HttpRequest) -> HttpResponseBase:
        response = HttpResponse(content_type="application/json")
        del response.headers["Content-Type"]
        return response

    get_response: Callable[[HttpRequest], HttpResponseBase] = respond
    for path in reversed(settings.MIDDLEWARE):
        if path in _DECORATING:
            get_response = import_string(path)(get_response)
    return _encoded(get_response(request).headers.items())


@lru_cache(maxsize=64)  # the forwarded scheme is the caller's to choose
def usual_lines(scheme: str, forwarded_scheme: str) -> bytes:
    return lines(usual_headers(scheme, forwarded_scheme))


@lru_cache(maxsize=64)  # the forwarded scheme is the caller's to choose
def usual_texts(scheme: str, forwarded_scheme: str) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in usual_headers(scheme, forwarded_scheme)
    ]


def _encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
