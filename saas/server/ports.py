"""Ports and URLs of the services when ``--port-base`` moves all four."""

from urllib.parse import urlsplit

from django.conf import settings

from saas.api.client_address import is_loopback

MAX_PORT = 65_535


def ports_from_base(port_base: int) -> dict[str, int]:
    """Return each service's port: product has ``port_base``, the others the next three. Raises ``ValueError``."""
    offsets = {name: port - settings.SERVICE_PORTS["product"] for name, port in settings.SERVICE_PORTS.items()}
    if not 1 <= port_base <= MAX_PORT - max(offsets.values()):
        raise ValueError(
            f"{port_base} is no port base: the four services take it and the next three, at most {MAX_PORT}."
        )
    return {name: port_base + offset for name, offset in offsets.items()}


def urls_from_base(port_base: int) -> dict[str, str]:
    """Return each service's URL on this machine."""
    return {name: f"http://localhost:{port}" for name, port in ports_from_base(port_base).items()}


def is_here(url: str) -> bool:
    """Whether the URL leads to this machine, which is reached without a forward proxy."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or is_loopback(host)
