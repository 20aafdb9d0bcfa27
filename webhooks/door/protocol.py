"""uvicorn's HTTP, with the manners of the services: what cannot be read as HTTP gets a problem document, too."""

import asyncio
import json
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from saas.context import new_request_id


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


class Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, GatheringTransport(transport)))

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
