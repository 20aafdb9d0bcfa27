"""Where a request comes from: the client address behind proxies, and whether its ``Origin`` is allowed.

Each proxy appends what it saw to ``X-Forwarded-For``, ``X-Forwarded-Proto`` or ``Forwarded`` (RFC 7239), so the n-th value
from the right is the n-th proxy's, and what stands further left is the caller's own claim. Where ``X-Forwarded-For`` is
sent, ``Forwarded`` is not read: most proxies write the former and pass the caller's latter on (decision 109).
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

from saas.ip_addresses import normalize_ip, parse_ip

_PORT = r"(?::(?:\d{1,5}|_[\w.-]+))?"
_NODE = re.compile(rf"\[(?P<v6>[^\]%]+)(?:%[^\]]*)?\]{_PORT}|(?P<v4>[\d.]+){_PORT}|(?P<bare>[\da-fA-F:.]+)(?:%.*)?")
_PAIR = re.compile(r'\s*([\w!#$%&\'*+.^`|~-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)\s*(?:;|$)')


def client_address(request: HttpRequest) -> str:
    """Return the caller's IP address: what rate limits count, and what the audit trail and deliveries show.

    ``REMOTE_ADDR``; or, when that peer is a trusted proxy, the address that the outermost of ``TRUSTED_PROXY_COUNT``
    proxies saw. A proxy that names no address counts as the caller.
    """
    meta = request.META
    return resolve_client_address(
        str(meta.get("REMOTE_ADDR", "")), meta.get("HTTP_X_FORWARDED_FOR", ""), meta.get("HTTP_FORWARDED", "")
    )


def resolve_client_address(peer: str, forwarded_for: str, forwarded: str = "") -> str:
    """The same for a ``peer`` that sent these values of X-Forwarded-For and Forwarded."""
    peer = normalize_ip(peer)
    if not settings.TRUSTED_PROXY_COUNT or not is_trusted_proxy(peer):
        return peer
    seen = forwarded_for_address(forwarded_for, forwarded, settings.TRUSTED_PROXY_COUNT)
    return normalize_ip(seen) if parse_ip(seen) else peer


def forwarded_scheme(request: HttpRequest) -> str:
    """Return the scheme that the same proxy saw; empty if no trusted proxy names one."""
    meta = request.META
    if not settings.TRUSTED_PROXY_COUNT or not is_trusted_proxy(str(meta.get("REMOTE_ADDR", ""))):
        return ""
    proto, forwarded_for = meta.get("HTTP_X_FORWARDED_PROTO", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
    return forwarded_proto_scheme(proto, forwarded_for, meta.get("HTTP_FORWARDED", ""), settings.TRUSTED_PROXY_COUNT)


def is_loopback(address: str) -> bool:
    found = parse_ip(address)
    return found is not None and found.is_loopback


def is_allowed_origin(origin: str) -> bool:
    """Our own base URLs (localhost and 127.0.0.1 alike), the CORS list and, outside production, any loopback origin."""
    if origin in settings.CORS_ALLOWED_ORIGINS:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # such as "http://["
        return False
    if not settings.PRODUCTION and (parts.hostname == "localhost" or is_loopback(parts.hostname or "")):
        return parts.scheme in {"http", "https"}
    bases = map(urlsplit, [*settings.SERVICE_BASE_URLS.values(), settings.FRONTEND_BASE_URL])
    ours = {f"{base.scheme}://{base.netloc}" for base in bases}
    return origin in ours | {one.replace("//localhost", "//127.0.0.1") for one in ours}


def is_trusted_proxy(peer: str) -> bool:
    """Whether ``peer`` is one of our proxies; a peer without an address came through a Unix socket."""
    trusted = settings.TRUSTED_PROXY_CIDRS
    address = parse_ip(peer)
    if address is None:
        return not peer and "unix" in trusted
    return any(address in ipaddress.ip_network(cidr) for cidr in trusted if cidr != "unix")


# ── X-Forwarded-For, X-Forwarded-Proto and Forwarded ──


def forwarded_for_address(forwarded_for: str, forwarded: str, count: int) -> str:
    """The address that the outermost of ``count`` proxies saw, without port, brackets and quotes; empty if it names none
    (``unknown``, ``_hidden``, malformed)."""
    if forwarded_for:
        return _address(_outermost(reversed(forwarded_for.split(",")), count))
    return _address(_pairs(_outermost(_from_the_right(forwarded), count)).get("for", ""))


def forwarded_proto_scheme(forwarded_proto: str, forwarded_for: str, forwarded: str, count: int) -> str:
    """The scheme that this proxy saw, in lower case; empty if none is named."""
    if forwarded_proto or forwarded_for:
        return _outermost(reversed(forwarded_proto.split(",")), count).strip("\"' \t").lower()
    return _pairs(_outermost(_from_the_right(forwarded), count)).get("proto", "").lower()


def _outermost(elements: Iterable[str], count: int) -> str:
    """The ``count``-th non-empty element, or the last if there are fewer."""
    found = list(islice((element.strip() for element in elements if element.strip()), count))
    return found[-1] if found else ""


def _from_the_right(forwarded: str) -> Iterator[str]:
    """Split at commas outside quotes. Read from the right, a quote that the caller left open hides nothing that our proxies
    appended after it."""
    end, is_quoted = len(forwarded), False
    for at in range(len(forwarded) - 1, -1, -1):
        if forwarded[at] == '"':
            backslashes = at - len(forwarded[:at].rstrip("\\"))
            is_quoted ^= backslashes % 2 == 0  # an odd number escapes the quote
        elif forwarded[at] == "," and not is_quoted:
            yield forwarded[at + 1 : end]
            end = at
    yield forwarded[:end]


def _pairs(element: str) -> dict[str, str]:
    """``for=192.0.2.1;proto=https`` as a dictionary; empty if malformed or if a name repeats."""
    found: dict[str, str] = {}
    at = 0
    while at < len(element):
        pair = _PAIR.match(element, at)
        if pair is None or pair[1].lower() in found:
            return {}
        found[pair[1].lower()] = _unquoted(pair[2])
        at = pair.end()
    return found


def _address(node: str) -> str:
    found = _NODE.fullmatch(_unquoted(node.strip()).strip())
    return (found["v6"] or found["v4"] or found["bare"]) if found else ""


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
