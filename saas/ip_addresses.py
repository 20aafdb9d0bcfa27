"""IP addresses, and how many of them one subscriber is likely to hold."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=4096)  # the same few addresses, request after request
def parsed(address: str) -> Address | None:
    """A socket that takes both families tells an IPv4 caller as ``::ffff:192.0.2.1``: that is 192.0.2.1."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=4096)
def plain(address: str) -> str:
    """The usual way to write it; what is no address stays as it is."""
    found = parsed(address)
    return str(found) if found else address


@dataclass(frozen=True)
class Network:
    """``times`` is how much more than one subscriber the people in it together may do."""

    name: str
    times: int


# Prefix lengths from what one subscriber holds outwards. An IPv6 home has a /56, a site or whoever rents a server a /48; a
# /24 is the least of IPv4 that is routed.
_OUTWARDS = {4: ((32, 1), (24, 5)), 6: ((64, 1), (56, 2), (48, 5))}


@lru_cache(maxsize=4096)
def around(address: str) -> tuple[Network, ...]:
    """The networks that an address lies in, as limits count them: the subscriber's own first, then the neighbourhood."""
    found = parsed(address)
    if found is None:
        return (Network(address, 1),)
    return tuple(
        Network(str(ipaddress.ip_network((found.packed, length), strict=False)), times)
        for length, times in _OUTWARDS[found.version]
    )


def network(address: str) -> str:
    """What one subscriber holds: an IPv4 address, or the /64 of an IPv6 address."""
    return around(address)[0].name


def neighbourhood(address: str) -> str:
    """What somebody with many addresses is likely to hold: a /24 of IPv4, a /48 of IPv6."""
    return around(address)[-1].name
