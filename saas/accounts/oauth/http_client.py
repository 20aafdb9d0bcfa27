"""HTTP client for identity providers: allowed hosts only, no redirects, 3 s to connect, 5 s in total, 1 MB at most."""

import asyncio
import ipaddress
import json
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from saas.errors import DomainError

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 5.0
MAX_BYTES = 1_048_576


class IdentityProviderUnavailable(DomainError):
    code, title, status = "oauth_provider_unavailable", "The sign-in provider cannot be reached.", 502


@dataclass(frozen=True)
class ProviderResponse:
    """``document`` is the parsed JSON body."""

    status: int
    document: Any


def call_provider(
    method: str,
    url: str,
    *,
    hosts: Collection[str],
    form: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    token: str = "",
) -> ProviderResponse:
    """Return the response.

    Raises ``IdentityProviderUnavailable`` for a redirect, a 5xx, invalid JSON, a large body or a timeout.
    """
    require_allowed_url(url, hosts)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        status, body = asyncio.run(_exchange(method, url, headers, form, auth))
        return ProviderResponse(status, json.loads(body))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError, RecursionError) as error:
        raise IdentityProviderUnavailable from error


async def _exchange(
    method: str, url: str, headers: dict[str, str], form: Mapping[str, str] | None, auth: tuple[str, str] | None
) -> tuple[int, bytes]:
    limits = httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS)
    async with (
        asyncio.timeout(TOTAL_SECONDS),  # httpx limits each read, not their sum
        httpx.AsyncClient(timeout=limits, follow_redirects=False, verify=_trusted_authorities()) as client,
        client.stream(method, url, headers=headers, data=form, auth=auth) as response,
    ):
        if response.is_redirect or response.is_server_error:
            raise IdentityProviderUnavailable
        body = bytearray()
        async for chunk in response.aiter_raw():  # raw: a decompressed body would have no limit
            body += chunk
            if len(body) > MAX_BYTES:
                raise IdentityProviderUnavailable
        return response.status_code, bytes(body)


@cache
def _trusted_authorities() -> ssl.SSLContext:
    """Read once in a process: a client that reads them for itself spends most of a call on it."""
    return httpx.create_ssl_context()


def require_allowed_url(url: str, hosts: Collection[str]) -> None:
    """Raise ``IdentityProviderUnavailable`` unless ``url`` is https at one of ``hosts``.

    Outside production http to loopback is allowed, too.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise IdentityProviderUnavailable from error
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and not settings.PRODUCTION and _is_loopback(host))
    if not is_safe or host not in hosts or parts.username is not None:
        raise IdentityProviderUnavailable


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
