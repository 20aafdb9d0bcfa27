"""Ports and URLs of the services when ``--port-base`` moves all four."""

from django.conf import settings


def ports_from_base(port_base: int) -> dict[str, int]:
    """Return each service's port: product has ``port_base``, the others the next three."""
    return {name: port_base + index for index, name in enumerate(settings.SERVICE_PORTS)}


def urls_from_base(port_base: int) -> dict[str, str]:
    """Return each service's URL on this machine."""
    return {name: f"http://localhost:{port}" for name, port in ports_from_base(port_base).items()}
