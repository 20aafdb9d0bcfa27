"""IP addresses, and how many of them one subscriber is likely to hold."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=4096)  # the same few addresses, request after request
def parse_ip(address: str) -> IPAddress | None:
    """A socket that takes both families tells an IPv4 caller as ``::ffff:192.0.2.1``: that is 192.0.2.1."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=4096)
def normalize_ip(address: str) -> str:
    """The usual way to write it; what is no address stays as it is."""
    found = parse_ip(address)
    return str(found) if found else address


@dataclass(frozen=True)
class Subnet:
    """``times`` is how much more than one subscriber the people in it together may do."""

    name: str
    limit_multiplier: int


# Prefix lengths from what one subscriber holds outwards. An IPv6 home has a /56, a site or whoever rents a server a /48; a
# /24 is the least of IPv4 that is routed.
_PREFIX_LENGTHS = {4: ((32, 1), (24, 5)), 6: ((64, 1), (56, 2), (48, 5))}


@lru_cache(maxsize=4096)
def containing_subnets(address: str) -> tuple[Subnet, ...]:
    """The networks that an address lies in, as limits count them: the subscriber's own first, then the neighbourhood."""
    found = parse_ip(address)
    if found is None:
        return (Subnet(address, 1),)
    return tuple(
        Subnet(str(ipaddress.ip_network((found.packed, length), strict=False)), times)
        for length, times in _PREFIX_LENGTHS[found.version]
    )


def subscriber_subnet(address: str) -> str:
    """What one subscriber holds: an IPv4 address, or the /64 of an IPv6 address."""
    return containing_subnets(address)[0].name


def site_subnet(address: str) -> str:
    """What somebody with many addresses is likely to hold: a /24 of IPv4, a /48 of IPv6."""
    return containing_subnets(address)[-1].name
