"""IP addresses and the subnets that one subscriber is likely to hold."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=4096)  # the same few addresses, request after request
def parse_ip(address: str) -> IPAddress | None:
    """The address, or ``None``. A dual-stack socket shows an IPv4 caller as ``::ffff:192.0.2.1``: that is 192.0.2.1."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=4096)
def normalize_ip(address: str) -> str:
    """The canonical spelling; what is no address stays as it is."""
    found = parse_ip(address)
    return str(found) if found else address


@dataclass(frozen=True)
class Subnet:
    """``limit_multiplier``: how often a subscriber's limit all addresses in it have together."""

    name: str
    limit_multiplier: int


# (prefix length, multiplier), narrowest first. An IPv6 home has a /56, a site or a rented server a /48; a /24 is the
# smallest IPv4 network that is routed.
_PREFIX_LENGTHS = {4: ((32, 1), (24, 5)), 6: ((64, 1), (56, 2), (48, 5))}


@lru_cache(maxsize=4096)
def containing_subnets(address: str) -> tuple[Subnet, ...]:
    """The subnets of an address that rate limits count, narrowest first."""
    found = parse_ip(address)
    if found is None:
        return (Subnet(address, 1),)
    return tuple(
        Subnet(str(ipaddress.ip_network((found.packed, length), strict=False)), times)
        for length, times in _PREFIX_LENGTHS[found.version]
    )


def subscriber_subnet(address: str) -> str:
    """The subnet of one subscriber: an IPv4 address, or the /64 of an IPv6 address."""
    return containing_subnets(address)[0].name


def site_subnet(address: str) -> str:
    """The subnet of a holder of many addresses: a /24 of IPv4, a /48 of IPv6."""
    return containing_subnets(address)[-1].name
