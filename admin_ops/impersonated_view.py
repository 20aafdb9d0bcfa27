"""What Product answers to a customer, requested in their name with the token of an impersonation.

The token never reaches the browser, and every request is in the audit trail.
"""

from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings

from saas import request_context
from saas.accounts.models import Impersonation
from saas.accounts.sessions import tokens

TIMEOUT = httpx.Timeout(5.0, connect=2.0)
MAX_BYTES = 1_048_576


@dataclass(frozen=True)
class View:
    name: str
    label: str
    icon: str
    path: str


_OF_BILLING = (
    View("subscription", "Subscription", "autorenew", "/api/subscriptions/current"),
    View("access", "Access", "key", "/api/billing/entitlements"),
    View("invoices", "Invoices", "receipt_long", "/api/billing/invoices"),
    View("cards", "Payment methods", "credit_card", "/api/billing/payment-methods"),
)
VIEWS: tuple[View, ...] = (
    View("account", "Account", "person", "/api/auth/me"),
    View("profile", "Profile", "badge", "/api/users/profile"),
    *(_OF_BILLING if settings.BILLING else ()),
    View("teams", "Teams", "groups", "/api/teams"),
    View("devices", "Devices", "devices", "/api/auth/sessions"),
)


def get_view(name: str) -> View:
    """The first view for an unknown name."""
    return next((view for view in VIEWS if view.name == name), VIEWS[0])


@dataclass(frozen=True)
class ImpersonatedResponse:
    """``status`` is 0 if there was no usable answer; ``answer`` then says why."""

    status: int
    answer: Any

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def request_as_customer(impersonation: Impersonation, view: View) -> ImpersonatedResponse:
    """Send the request that the customer's client would send. Does not raise for a bad, late or missing answer."""
    headers = {
        "Authorization": f"Bearer {tokens.issue_impersonation_token(impersonation)}",
        "X-Request-ID": request_context.current().request_id,
    }
    url = settings.SERVICE_BASE_URLS["product"] + view.path
    try:
        answer = httpx.get(url, headers=headers, timeout=TIMEOUT, follow_redirects=False, trust_env=False)
        if len(answer.content) > MAX_BYTES:
            return ImpersonatedResponse(0, "The answer is too long to be shown here.")
        return ImpersonatedResponse(answer.status_code, answer.json())
    except (httpx.HTTPError, ValueError):
        return ImpersonatedResponse(0, "Product could not be reached.")
