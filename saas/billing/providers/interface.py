"""The interface of a payment provider.

Every call may take seconds and fail, so none is made inside a transaction. What a call changes or returns is stored as an
event, and takes effect like the events that the provider sends.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from saas.billing.models import BillingDetails, Plan, PriceTerms, PromotionCode
from saas.errors import DomainError

API_VERSION = "2026-10-28.endive"  # Stripe's; the version that its SDK and our tests speak

EVENT_TYPES = {
    "charge": "charge.updated",
    "checkout.session": "checkout.session.updated",
    "coupon": "coupon.updated",
    "credit_note": "credit_note.updated",
    "customer": "customer.updated",
    "dispute": "charge.dispute.updated",
    "invoice": "invoice.updated",
    "invoice_payment": "invoice_payment.updated",
    "payment_method": "payment_method.updated",
    "price": "price.updated",
    "product": "product.updated",
    "radar.early_fraud_warning": "radar.early_fraud_warning.updated",
    "refund": "refund.updated",
    "subscription": "customer.subscription.updated",
    "tax_id": "customer.tax_id.updated",
}
"""The kinds of objects that the provider is asked for, and the type of event that an answer is stored as."""


class ProviderUnavailable(DomainError):
    code, title, status = "provider_unavailable", "The payment provider does not answer. Try again in a moment.", 503


class ProviderForbids(ProviderUnavailable):
    """Our key lacks the permission for this: it does not help to ask again."""


class ProviderRefused(DomainError):
    code, title = "provider_refused", "The payment provider did not accept this."  # 409


class ProviderFailed(ProviderUnavailable):
    """It has answered, with an error of its own: it repeats that answer to the same idempotency key."""


class CustomerMissing(ProviderRefused):
    """It has no such customer: deleted there, or of the other mode."""


class TaxIdRefused(ProviderRefused):
    """It does not take this tax id; another try brings the same answer."""


class IdempotencyMismatch(ProviderRefused):
    """The idempotency key was used with other parameters."""


class PaymentDeclined(DomainError):
    code, title = "payment_declined", "The payment was declined."  # 409


class ProviderPageRequired(DomainError):
    code, title = "use_the_providers_page", "Cards are added on the payment provider's own page."  # 409


@dataclass(frozen=True)
class UnansweredRefund:
    """A call that may have made a refund without an answer: one since ``since`` that is none of ``answered``."""

    since: datetime
    answered: Collection[str]


@dataclass(frozen=True)
class CheckoutSession:
    """A checkout session. ``url`` is empty if the customer has nothing more to do."""

    id: str
    url: str


@dataclass(frozen=True)
class PreviewLine:
    """What an invoice will charge or, below nothing, credit: the ``price`` of a period; of a change that is previewed, the
    ``unused`` time of what was bought and the ``rest`` of the period of what is bought instead; what waits from ``earlier``
    changes."""

    kind: Literal["price", "unused", "rest", "earlier"]
    amount_cents: int


@dataclass(frozen=True)
class InvoicePreview:
    """What the next invoice will be, as it stands or after a change. ``lines`` less the discount plus the tax are the total,
    which the customer's credit pays first; a total below nothing becomes credit."""

    due_cents: int
    currency: str
    next_charge_at: datetime | None
    lines: tuple[PreviewLine, ...] = ()
    discount_cents: int = 0
    tax_cents: int = 0
    total_cents: int = 0


class Gateway(Protocol):
    """Ids are the provider's. The same ``idempotency_key`` twice is one call."""

    provider: str

    def create_customer(
        self, *, reference: str, email: str, name: str, idempotency_key: str, details: BillingDetails | None = None
    ) -> str:
        """A new customer's id. ``reference`` is our own id of it. Raises ``ProviderFailed``, ``IdempotencyMismatch``: the key
        brings the same answer for a day."""
        ...

    def find_customer(self, *, reference: str, email: str) -> str:
        """The id of the customer that was created for ``reference``, perhaps with that address; else empty."""
        ...

    def update_customer(
        self, customer_id: str, *, email: str, name: str, details: BillingDetails | None = None
    ) -> None:
        """``details`` replace the address and the tax ids, each only if one was ever given here (``had_address``,
        ``had_tax_id``); without ``details`` both stay. Raises ``CustomerMissing``, and ``TaxIdRefused`` after all else was
        changed."""
        ...

    def create_checkout(
        self,
        *,
        reference: str,
        customer_id: str,
        price_id: str,
        trial_days: int,
        idempotency_key: str,
        quantity: int = 1,
        promotion_code_id: str = "",
        needs_card: bool = True,
        on_page: bool = False,
    ) -> CheckoutSession:
        """Sell one subscription to ``price_id``, free for the first ``trial_days``. ``reference`` is our checkout's id;
        without ``needs_card`` what costs nothing yet begins without a card, and a trial pauses if there is none at its end.
        ``on_page``: never at once, as the local provider may."""
        ...

    def ensure_promotion_code(self, code: PromotionCode) -> str:
        """The provider's id of our promotion code, which is created there if need be."""
        ...

    def apply_promotion_code(self, subscription_id: str, promotion_code_id: str) -> None:
        """Give a subscription the discount, in addition to those that it has."""
        ...

    def fetch_checkout(self, session_id: str) -> None:
        """Store the session, and its subscription if there is one."""
        ...

    def expire_checkout(self, session_id: str) -> None:
        """Expire an open session; one that is over stays as it is."""
        ...

    def fetch_subscription(self, subscription_id: str) -> None:
        """With its discounts whole."""
        ...

    def fetch_object(self, kind: str, id: str) -> None:
        """``kind`` is one of ``EVENT_TYPES``. A subscription and a checkout session have calls of their own."""
        ...

    def list_customers(self) -> Iterator[dict[str, Any]]:
        """Every customer that the provider has. Stores nothing."""
        ...

    def list_objects(self, customer_id: str, kind: str) -> list[dict[str, Any]]:
        """Every ``subscription``, ``invoice``, ``payment_method`` or ``tax_id`` of a customer, or the ``customer`` itself, as the
        provider has it. Unlike the others, this stores nothing."""
        ...

    def change_subscription(
        self,
        *,
        subscription_id: str,
        item_id: str,
        price_id: str,
        quantity: int,
        prorate: bool = True,
        prorated_at: datetime | None = None,
        needs_payment: bool = False,
    ) -> None:
        """Move one item to another price and quantity; the others stay. The next invoice charges or credits the difference for
        the rest of the period as of ``prorated_at``, by default now, unless ``prorate`` is false. ``needs_payment``: a change
        that is charged at once takes effect when that is paid. Raises ``PaymentDeclined`` where it is not."""
        ...

    def preview_change(
        self, *, subscription_id: str, item_id: str, price_id: str, quantity: int, prorated_at: datetime
    ) -> InvoicePreview: ...

    def preview_next_invoice(self, subscription_id: str) -> InvoicePreview:
        """Of a subscription that goes on."""
        ...

    def set_cancel_at_period_end(self, subscription_id: str, *, value: bool, reason: str = "") -> None: ...

    def clear_cancel_at(self, subscription_id: str) -> None:
        """Revoke a cancellation for a date. One for the end of the period is revoked by ``set_cancel_at_period_end``."""
        ...

    def resume_paused_trial(self, subscription_id: str) -> bool:
        """Charge a subscription that is paused because its trial ended without a card, and let it go on. One that is paused for
        another reason, perhaps on purpose, stays as it is: ``False``."""
        ...

    def extend_trial(self, subscription_id: str, *, trial_end: datetime) -> None:
        """Set the end of a trial; nothing is charged before."""
        ...

    def cancel_subscription(self, subscription_id: str, *, reason: str = "") -> None:
        """Cancel it now. ``reason`` is in the customer's words."""
        ...

    def refund_invoice(
        self,
        invoice_id: str,
        *,
        amount_cents: int,
        reason: str,
        idempotency_key: str,
        unanswered: UnansweredRefund | None = None,
    ) -> str:
        """Return that much of what was paid, the way it came: the refund's id.

        Of an ``unanswered`` earlier call the refund of that amount is looked for first. Raises ``ProviderRefused`` for an invoice
        without a payment, ``ProviderFailed``, ``IdempotencyMismatch``: the key brings its answer for a day.
        """
        ...

    def invoice_url(self, invoice_id: str) -> str:
        """The provider's page of an invoice, good for days: one that was told earlier may have expired. Empty where there is
        none."""
        ...

    def credit_customer(
        self, customer_id: str, *, amount_cents: int, currency: str, reason: str, idempotency_key: str
    ) -> None:
        """Add to the credit that pays the next invoices."""
        ...

    def attach_payment_method(
        self, *, customer_id: str, type: str, brand: str, last4: str, exp_month: int | None, exp_year: int | None
    ) -> str:
        """A new payment method's id. Raises ``ProviderPageRequired`` where only the provider may see a card."""
        ...

    def detach_payment_method(self, payment_method_id: str) -> None: ...

    def ensure_price(self, plan: Plan, terms: PriceTerms, *, version: int = 0) -> tuple[str, bool]:
        """The id of the plan's price with these terms, and whether this call created it. A ``version`` has a price of its own."""
        ...

    def portal_url(self, *, customer_id: str, return_url: str) -> str:
        """A page of the provider for this customer only, for one visit."""
        ...
