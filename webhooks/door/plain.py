"""Which requests the fast door answers itself: a signed delivery as the provider sends it, and nothing else."""

from functools import lru_cache

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from webhooks.door.answers import Headers

PATH = "/api/webhooks/stripe"
# A browser, and bodies whose length is not known before: Django's rules decide.
_UNUSUAL = {b"origin", b"sec-fetch-site", b"transfer-encoding", b"expect"}

PlainHeaders = dict[bytes, bytes]


def plain_headers(sent: Headers) -> PlainHeaders | None:
    """The headers of a POST to ``PATH`` that is a plain delivery; None if Django should look at the request."""
    headers: PlainHeaders = dict(sent)
    is_plain = (
        b"stripe-signature" in headers
        and len(headers) == len(sent)  # none stands twice
        and headers.keys().isdisjoint(_UNUSUAL)
        and declared_length(headers) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        and _is_ours(headers.get(b"host", b""), tuple(settings.ALLOWED_HOSTS))
    )
    return headers if is_plain else None


def declared_length(headers: PlainHeaders) -> int:
    """What Content-Length says; 0 if it says nothing that can be understood."""
    digits = headers.get(b"content-length", b"0")
    return int(digits) if digits.isdigit() and len(digits) < 20 else 0


def forwarded_scheme(headers: PlainHeaders) -> str:
    """What a proxy says of the caller's scheme; whether it is believed is not decided here."""
    return headers.get(b"x-forwarded-proto", b"").decode("latin-1")


@lru_cache(maxsize=64)
def _is_ours(host: bytes, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, allowed)
