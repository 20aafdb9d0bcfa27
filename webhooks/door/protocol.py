"""uvicorn's HTTP, with the manners of the services, and a short way for deliveries that have arrived whole.

uvicorn makes a task, a scope and two channels for each request, which costs as much as taking a delivery in. A plain
delivery whose bytes came together needs none of it: the door gets the body, and the answer is written when it is there.
Whatever is unusual goes uvicorn's way, to the same door.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from saas.context import new_request_id
from webhooks.door.answers import Answer, lines, usual_lines
from webhooks.door.plain import PATH, PlainHeaders, forwarded_scheme, plain_headers

if TYPE_CHECKING:  # uvicorn imports this before Django is set up
    from webhooks.door.door import Door

_TARGET = PATH.encode()


class GatheringTransport:
    """Sends what is written in one turn of the loop at once: an answer's head and body are one packet, not two."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._call_soon = asyncio.get_running_loop().call_soon
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._written:
            self._call_soon(self._send)
        self._written.append(data)

    def _send(self) -> None:
        written, self._written = self._written, []
        if written:
            self._transport.write(b"".join(written))

    def close(self) -> None:
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Taken:
    """A delivery on its way: what uvicorn wants to know of the request that a connection is busy with."""

    def __init__(self) -> None:
        self.response_complete = False
        self.keep_alive = True  # uvicorn takes it back when the service ends
        self.message_event = self  # nobody waits for it

    def set(self) -> None:
        pass


class Protocol(HttpToolsProtocol):
    _plain: PlainHeaders | None = None  # of a request whose body is still being read off the bytes that came
    _body: bytes = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, GatheringTransport(transport)))

    def on_message_begin(self) -> None:
        """uvicorn prepares a scope here; that waits until somebody needs it."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._plain is not None:  # more is to come
            self._go_the_ordinary_way()

    def on_headers_complete(self) -> None:
        self._plain = plain_headers(self.headers) if self._may_be_taken() else None
        if self._plain is None:
            self._begin_the_ordinary_way()

    def _may_be_taken(self) -> bool:
        return (
            self.url == _TARGET
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and (self.cycle is None or self.cycle.response_complete)  # else it waits for its turn
        )

    def on_body(self, body: bytes) -> None:
        if self._plain is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        if self._plain is None:
            super().on_message_complete()
        elif self._is_taken(self._plain):
            self._plain, self._body = None, b""
        else:
            self._go_the_ordinary_way()
            super().on_message_complete()

    def _is_taken(self, headers: PlainHeaders) -> bool:
        usual = usual_lines(self.scheme or "http", forwarded_scheme(headers))
        taken, peer = Taken(), self.client[0] if self.client else ""
        is_taken = cast("Door", self.app).take(
            peer, headers, self._body, lambda answer: self._reply(taken, answer, usual)
        )
        if is_taken:
            self.cycle = cast(Any, taken)
        return is_taken

    def _begin_the_ordinary_way(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)  # the list that the scope has
        super().on_headers_complete()

    def _go_the_ordinary_way(self) -> None:
        body, self._plain, self._body = self._body, None, b""
        self._begin_the_ordinary_way()
        super().on_body(body)

    def _reply(self, taken: Taken, answer: Answer, usual: bytes) -> None:
        taken.response_complete = True
        if self.transport.is_closing():  # nobody waits for it any more
            return
        more = usual + lines(self.server_state.default_headers)
        self.transport.write(answer.on_the_wire(more if taken.keep_alive else more + b"connection: close\r\n"))
        if not taken.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:
        request_id = new_request_id()
        body = json.dumps(
            {
                "type": "urn:saas:problem:malformed",
                "title": "Bad Request",
                "status": 400,
                "detail": msg,
                "code": "malformed",
                "request_id": request_id,
            }
        )
        self.transport.write(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        self.transport.close()
