"""Where a request comes from: its client address behind proxies, and whether its ``Origin`` is one of ours."""

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

from saas.api.forwarded import forwarded_for_address, forwarded_proto_scheme
from saas.ip_addresses import normalize_ip, parse_ip


def client_address(request: HttpRequest) -> str:
    """The caller's IP address: what rate limits count, and what the trail and the deliveries show.

    ``REMOTE_ADDR``; or, when that peer is a trusted proxy, the address that the outermost of ``TRUSTED_PROXY_COUNT``
    proxies saw. A proxy that tells of no address is taken for the caller.
    """
    meta = request.META
    return resolve_client_address(
        str(meta.get("REMOTE_ADDR", "")), meta.get("HTTP_X_FORWARDED_FOR", ""), meta.get("HTTP_FORWARDED", "")
    )


def resolve_client_address(peer: str, forwarded_for: str, forwarded: str = "") -> str:
    """The same for a ``peer`` that sends these as X-Forwarded-For and Forwarded."""
    peer = normalize_ip(peer)
    if not settings.TRUSTED_PROXY_COUNT or not is_trusted_proxy(peer):
        return peer
    told = forwarded_for_address(forwarded_for, forwarded, settings.TRUSTED_PROXY_COUNT)
    return normalize_ip(told) if parse_ip(told) else peer


def forwarded_scheme(request: HttpRequest) -> str:
    """The scheme that the same proxy saw; empty if no proxy of ours tells of one."""
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
    return any(
        _same_origin(origin, base) for base in [*settings.SERVICE_BASE_URLS.values(), settings.FRONTEND_BASE_URL]
    )


def _same_origin(origin: str, base: str) -> bool:
    ours = urlsplit(base)
    return origin in {
        f"{ours.scheme}://{ours.netloc}",
        f"{ours.scheme}://{ours.netloc}".replace("//localhost", "//127.0.0.1"),
    }


def is_trusted_proxy(peer: str) -> bool:
    """Whether ``peer`` is one of our own proxies; a peer without an address came through a socket of this machine."""
    trusted = settings.TRUSTED_PROXY_CIDRS
    address = parse_ip(peer)
    if address is None:
        return not peer and "unix" in trusted
    return any(address in ipaddress.ip_network(cidr) for cidr in trusted if cidr != "unix")
