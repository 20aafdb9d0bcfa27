"""Where the services listen when `--port-base` moves all four."""

from django.conf import settings


def ports_from_base(port_base: int) -> dict[str, int]:
    """Product's port is ``port_base``; the other services get the next three."""
    return {name: port_base + index for index, name in enumerate(settings.SERVICE_PORTS)}


def urls_from_base(port_base: int) -> dict[str, str]:
    """Their addresses on this machine."""
    return {name: f"http://localhost:{port}" for name, port in ports_from_base(port_base).items()}
