"""The Content-Security-Policy of the admin site.

Everything is loaded from this origin, and no inline script runs: neither ``<script>`` nor ``onclick``. Unfold uses Alpine,
which compiles the contents of attributes, so ``unsafe-eval`` is allowed on these pages only (decision 60). Inline styles are
allowed because unfold writes its colours into the page.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http.response import HttpResponseBase

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def policy_with_forms_to(origin: str) -> str:
    """The same for a page whose form is sent to another of our services."""
    return CONTENT_SECURITY_POLICY.replace("form-action 'self'", f"form-action 'self' {origin}")


View = Callable[..., HttpResponseBase]


def with_csp(view: View) -> View:
    @wraps(view)
    def wrapped(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(*args, **kwargs)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response

    return wrapped
