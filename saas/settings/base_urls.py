"""Public URLs of the services, allowed hosts and origins, trusted proxies."""

import ipaddress
import re

from saas import env
from saas.settings.environment import PARITY, PRODUCTION


def _as_browsers_write_it(url: str) -> str:
    """Return the URL without capitals in its host and without the usual port, as in ``Origin``, with which it is compared."""
    parts = env.split_url(url)
    origin = env.as_origin(f"{parts.scheme}://{parts.netloc}") if parts else ""
    return f"{origin}{parts.path}".rstrip("/") if parts and origin else url.rstrip("/")


SERVICE_PORTS = {"product": 8000, "admin_ops": 8001, **({"parity": 8002} if PARITY else {}), "webhooks": 8003}
SERVICE_BASE_URLS = {
    name: _as_browsers_write_it(
        env.text(
            f"{name.upper()}_BASE_URL",
            default=f"http://localhost:{port}",
            help=f"Public address of {name}, without a path.",
        )
    )
    for name, port in SERVICE_PORTS.items()
}
FRONTEND_BASE_URL = _as_browsers_write_it(
    env.text(
        "FRONTEND_BASE_URL",
        default=SERVICE_BASE_URLS["product"],
        help="Where links in mails lead: Product's own pages, or an app of yours.",
    )
)
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = env.comma_separated(
    "ALLOWED_HOSTS", default=[] if PRODUCTION else LOOPBACK_HOSTS, help="Host names that are answered."
)
CORS_ALLOWED_ORIGINS = env.origins(
    "CORS_ALLOWED_ORIGINS", help="Exact origins of browser front ends, such as `https://app.example.com`."
)
# In development any port of this machine may serve a front end.
CORS_ALLOWED_ORIGIN_REGEXES = [] if PRODUCTION else [r"^https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$"]
CORS_ALLOW_CREDENTIALS = True
CORS_EXPOSE_HEADERS = ["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy", "Content-Disposition"]
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "content-type", "idempotency-key", "x-csrftoken", "x-request-id", "x-requested-with"),
    *("baggage", "sentry-trace", "traceparent", "tracestate"),  # what libraries for tracing add to every request
]
TRUSTED_PROXY_COUNT = env.integer(
    "TRUSTED_PROXY_COUNT", default=0, maximum=10, help="Proxies in front that append to X-Forwarded-For."
)
TRUSTED_PROXY_CIDRS = env.comma_separated(
    "TRUSTED_PROXY_CIDRS", help="Networks these proxies connect from, or `unix` for a socket."
)
# TrustedProxyMiddleware drops the header unless it comes from a trusted proxy.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
OPEN_INTERNALS = env.boolean(
    "OPEN_INTERNALS",
    default=not PRODUCTION,
    help="Whether anybody may read the documentation, the schema, metrics and the state of modules. Default in production: `false`.",
)
INTERNALS_TOKEN = env.text(
    "INTERNALS_TOKEN", help="Bearer token that reads them where they are closed: for Prometheus and doctor."
)
INTERNALS_TOKEN_FALLBACKS = env.comma_separated(
    "INTERNALS_TOKEN_FALLBACKS", help="Other tokens that are accepted during a rotation (commas between)."
)


# What never equals a request's host would only show as a refusal of every request.
_HOST = re.compile(r"[\w.*-]+|\[[\da-fA-F:.]+\]", re.ASCII)
if not all(map(_HOST.fullmatch, ALLOWED_HOSTS)):
    env.note_fault("ALLOWED_HOSTS must list host names: without https://, ports and paths.")
for _name, _url in {**SERVICE_BASE_URLS, "frontend": FRONTEND_BASE_URL}.items():
    _parts = env.split_url(_url)
    if _parts is None or not _parts.hostname or _parts.scheme not in {"http", "https"}:
        env.note_fault(f"{_name.upper()}_BASE_URL must start with http:// or https:// and a host name.")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return text == "unix"
    return True


if not all(_is_network(cidr) for cidr in TRUSTED_PROXY_CIDRS):
    env.note_fault("TRUSTED_PROXY_CIDRS must list networks, such as 10.0.0.0/8, or unix.")
    TRUSTED_PROXY_CIDRS = []
elif bool(TRUSTED_PROXY_COUNT) != bool(TRUSTED_PROXY_CIDRS):
    env.note_fault("TRUSTED_PROXY_COUNT and TRUSTED_PROXY_CIDRS must be set together.")
