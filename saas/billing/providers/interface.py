"""The interface of a payment provider.

Every call may take seconds and fail, so none is made inside a transaction. What a call changes or returns is stored as an
event, and takes effect like the events that the provider sends.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from saas.errors import DomainError

API_VERSION = "2026-10-28.endive"  # Stripe's; the version that its SDK and our tests speak


class ProviderUnavailable(DomainError):
    code, title, status = "provider_unavailable", "The payment provider does not answer. Try again in a moment.", 503


class ProviderRefused(DomainError):
    code, title = "provider_refused", "The payment provider did not accept this."  # 409


class PaymentDeclined(DomainError):
    code, title = "payment_declined", "The payment was declined."  # 409


class ProviderPageRequired(DomainError):
    code, title = "use_the_providers_page", "Cards are added on the payment provider's own page."  # 409


@dataclass(frozen=True)
class CheckoutSession:
    """A checkout session. ``url`` is empty if the customer has nothing more to do."""

    id: str
    url: str


@dataclass(frozen=True)
class ChangePreview:
    """What the next invoice would be after a change of plan: the new price, and what the change costs or credits."""

    due_cents: int
    currency: str
    next_charge_at: datetime | None


class Gateway(Protocol):
    """Ids are the provider's. The same ``idempotency_key`` twice is one call."""

    provider: str

    def create_customer(self, *, reference: str, email: str, name: str, idempotency_key: str) -> str:
        """A new customer's id. ``reference`` is our own id of it."""
        ...

    def create_checkout(
        self, *, reference: str, customer_id: str, price_id: str, trial_days: int, idempotency_key: str
    ) -> CheckoutSession:
        """Sell one subscription to ``price_id``, free for the first ``trial_days``. ``reference`` is our checkout's id."""
        ...

    def fetch_checkout(self, session_id: str) -> None:
        """Store the session, and its subscription if there is one."""
        ...

    def expire_checkout(self, session_id: str) -> None:
        """Expire an open session; one that is over stays as it is."""
        ...

    def fetch_subscription(self, subscription_id: str) -> None: ...

    def list_objects(self, customer_id: str, kind: str) -> list[dict[str, Any]]:
        """Every ``subscription``, ``invoice`` or ``payment_method`` of a customer, or the ``customer`` itself, as the
        provider has it. Unlike the others, this stores nothing."""
        ...

    def change_subscription(self, *, subscription_id: str, item_id: str, price_id: str, quantity: int) -> None:
        """Move one item to another price; the others stay. ``quantity`` is what it has: a new price would begin with one."""
        ...

    def preview_change(self, *, subscription_id: str, item_id: str, price_id: str, quantity: int) -> ChangePreview: ...

    def set_cancel_at_period_end(self, subscription_id: str, *, value: bool, reason: str = "") -> None: ...

    def clear_cancel_at(self, subscription_id: str) -> None:
        """Revoke a cancellation for a date. One for the end of the period is revoked by ``set_cancel_at_period_end``."""
        ...

    def extend_trial(self, subscription_id: str, *, trial_end: datetime) -> None:
        """Set the end of a trial; nothing is charged before."""
        ...

    def cancel_subscription(self, subscription_id: str, *, reason: str = "") -> None:
        """Cancel it now. ``reason`` is in the customer's words."""
        ...

    def attach_payment_method(
        self, *, customer_id: str, type: str, brand: str, last4: str, exp_month: int | None, exp_year: int | None
    ) -> str:
        """A new payment method's id. Raises ``ProviderPageRequired`` where only the provider may see a card."""
        ...

    def detach_payment_method(self, payment_method_id: str) -> None: ...

    def portal_url(self, *, customer_id: str, return_url: str) -> str:
        """A page of the provider for this customer only, for one visit."""
        ...
