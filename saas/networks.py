"""IP addresses, and how many of them one subscriber is likely to hold."""

import ipaddress
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


def network(address: str) -> str:
    """What one subscriber holds: an IPv4 address, or the /64 of an IPv6 address."""
    return _prefix(address, of_ipv4=32, of_ipv6=64)


def neighbourhood(address: str) -> str:
    """What somebody with many addresses is likely to hold: a /24 of IPv4, a /48 of IPv6."""
    return _prefix(address, of_ipv4=24, of_ipv6=48)


def _prefix(address: str, *, of_ipv4: int, of_ipv6: int) -> str:
    found = parsed(address)
    if found is None:
        return address
    length = of_ipv4 if found.version == 4 else of_ipv6
    return str(ipaddress.ip_network((found.packed, length), strict=False))
