"""What the proxies in front tell of a request that came through them: ``X-Forwarded-For``, ``X-Forwarded-Proto`` and
``Forwarded`` (RFC 7239).

Each proxy appends what it saw, so the n-th from the right is the word of the n-th proxy, and what stands further left is
the caller's own claim. Where ``X-Forwarded-For`` is, ``Forwarded`` is not read: most proxies write the former and hand on
whatever the caller put into the latter (decision 109).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

_PORT = r"(?::(?:\d{1,5}|_[\w.-]+))?"
_NODE = re.compile(rf"\[(?P<v6>[^\]%]+)(?:%[^\]]*)?\]{_PORT}|(?P<v4>[\d.]+){_PORT}|(?P<bare>[\da-fA-F:.]+)(?:%.*)?")
_PAIR = re.compile(r'\s*([\w!#$%&\'*+.^`|~-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)\s*(?:;|$)')


def forwarded_for_address(forwarded_for: str, forwarded: str, count: int) -> str:
    """The address that the outermost of ``count`` proxies saw, without port, brackets and quotes; empty if it tells of none
    (``unknown``, ``_hidden``, nonsense)."""
    if forwarded_for:
        return _address(_outermost(reversed(forwarded_for.split(",")), count))
    return _address(_pairs(_outermost(_from_the_right(forwarded), count)).get("for", ""))


def forwarded_proto_scheme(forwarded_proto: str, forwarded_for: str, forwarded: str, count: int) -> str:
    """The scheme that it saw, in small letters; empty if none is told."""
    if forwarded_proto or forwarded_for:
        return _outermost(reversed(forwarded_proto.split(",")), count).strip("\"' \t").lower()
    return _pairs(_outermost(_from_the_right(forwarded), count)).get("proto", "").lower()


def _outermost(elements: Iterable[str], count: int) -> str:
    """Of those told from the right; the last of all if there are fewer than proxies."""
    told = list(islice((element.strip() for element in elements if element.strip()), count))
    return told[-1] if told else ""


def _from_the_right(forwarded: str) -> Iterator[str]:
    """A comma in quotes parts nothing. Read from this end, a quote that the caller left open swallows nothing that our
    proxies wrote behind it."""
    end, is_quoted = len(forwarded), False
    for at in range(len(forwarded) - 1, -1, -1):
        if forwarded[at] == '"' and not _is_escaped(forwarded, at):
            is_quoted = not is_quoted
        elif forwarded[at] == "," and not is_quoted:
            yield forwarded[at + 1 : end]
            end = at
    yield forwarded[:end]


def _is_escaped(text: str, at: int) -> bool:
    return (at - len(text[:at].rstrip("\\"))) % 2 == 1


def _pairs(element: str) -> dict[str, str]:
    """``for=192.0.2.1;proto=https``; nothing at all of an element that is not well-formed or says a thing twice."""
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
