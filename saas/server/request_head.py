"""The head of a request: refuse what is ambiguous or too large, and translate the rest into a WSGI environ.

granian (hyper) has parsed it and refused what is not HTTP/1.1. What hyper accepts although two readers could interpret it in
two ways (request smuggling) is refused here, for every service.
"""

import io
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple, Protocol

MAX_TARGET_BYTES = 4_094  # bytes of path and query
MAX_HEADER_BYTES = 8_190  # bytes of one header's value
MAX_HEAD_BYTES = 32_768  # bytes of all headers together
PROBES = frozenset({"/health", "/health/ready"})
_PLAIN_NAMES = {"HTTP_CONTENT_TYPE": "CONTENT_TYPE", "HTTP_CONTENT_LENGTH": "CONTENT_LENGTH"}
_MAY_BE_LOST = {"user-agent", "referer"}
_SINGLE = ("host", "content-type", "expect", "transfer-encoding")


class Headers(Protocol):
    """granian's headers: names in lower case. Of a header whose value is not ASCII only ``keys`` has the name."""

    def keys(self) -> list[str]: ...
    def items(self) -> list[tuple[str, str]]: ...
    def get(self, key: str, default: Any = None) -> Any: ...
    def get_all(self, key: str) -> list[str]: ...
    def __contains__(self, key: str) -> bool: ...


class RequestScope(Protocol):
    """An RSGI request: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md"""

    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    authority: str | None
    headers: Headers


class Refusal(NamedTuple):
    status: int
    detail: str


def find_refusal(scope: RequestScope) -> Refusal | None:
    """Return why the request is refused, or None."""
    return next(chain(_refusals_of_target(scope), _refusals_of_headers(scope)), None)


def _refusals_of_target(scope: RequestScope) -> Iterator[Refusal]:
    if scope.method == "CONNECT" or scope.authority:
        yield Refusal(400, "Send the path only.")
    if len(scope.path) + len(scope.query_string) > MAX_TARGET_BYTES:
        yield Refusal(414, "The address is too long.")
    if "\ufffd" in scope.path:  # where granian has decoded what is no UTF-8
        yield Refusal(400, "The path holds a character that is not allowed.")


def _refusals_of_headers(scope: RequestScope) -> Iterator[Refusal]:
    headers = scope.headers
    if is_too_large(headers.items()):
        yield Refusal(431, "The headers are too large.")
    if repeated := [name for name in _SINGLE if len(headers.get_all(name)) > 1]:
        yield Refusal(400, f"The header {repeated[0]} stands twice.")
    if lost := set(headers.keys()).difference(_MAY_BE_LOST, dict(headers.items())):
        yield Refusal(400, f"The header {min(lost)} holds a character that is not allowed.")
    # A probe by HTTP/1.0 has no Host header; some load balancers still send it.
    is_old_probe = scope.http_version == "1" and scope.method == "GET" and scope.path in PROBES
    if "host" not in headers and not is_old_probe:
        yield Refusal(400, "The header Host is missing.")
    if headers.get("expect", "100-continue").lower() != "100-continue":
        yield Refusal(417, "Only 100-continue can be expected here.")


def is_too_large(headers: list[tuple[str, str]]) -> bool:
    """Whether one value exceeds ``MAX_HEADER_BYTES``, or names and values together ``MAX_HEAD_BYTES``."""
    sizes = [len(value) for _, value in headers]
    all_bytes = sum(sizes) + sum([len(name) for name, _ in headers])
    return max(sizes, default=0) > MAX_HEADER_BYTES or all_bytes > MAX_HEAD_BYTES


def declared_length(scope: RequestScope) -> int | None:
    """Return the body's length in bytes; None for a chunked body, whose Content-Length is ignored; 0 without either header."""
    if "transfer-encoding" in scope.headers:
        return None
    digits = scope.headers.get("content-length", "0")
    return int(digits) if digits.isdecimal() else 0


def wsgi_environ(scope: RequestScope, body: bytes) -> dict[str, Any]:
    """Return the environ of PEP 3333, with a body that was read whole."""
    host, _, port = scope.server.rpartition(":")
    is_socket = not port.isdecimal()
    return {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": "localhost" if is_socket else host.strip("[]"),
        "SERVER_PORT": "80" if is_socket else port,
        "SERVER_PROTOCOL": "HTTP/1.0" if scope.http_version == "1" else "HTTP/1.1",
        "REMOTE_ADDR": peer_address(scope),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **_header_variables(scope.headers),
        "CONTENT_LENGTH": str(len(body)) if body else "",
    }


def peer_address(scope: RequestScope) -> str:
    """Return the IP address of the peer; empty for a unix socket."""
    host, _, port = scope.client.rpartition(":")
    return host.strip("[]") if port.isdecimal() else ""


def _header_variables(headers: Headers) -> dict[str, str]:
    """Drop names with an underscore: in WSGI they equal the names with a dash that a proxy may have set."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        if "_" in name:
            continue
        key = "HTTP_" + name.upper().replace("-", "_")
        key = _PLAIN_NAMES.get(key, key)
        found[key] = f"{found[key]}{'; ' if name == 'cookie' else ','}{value}" if key in found else value
    return found
