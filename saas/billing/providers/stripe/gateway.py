"""Stripe's gateway, through the official SDK. Every object that a call returns is stored as a fetched event.

Stored is the JSON that Stripe sent, never the SDK's objects: those hold values (``Decimal``) that JSON does not have.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

import stripe
from django.conf import settings
from django.utils import timezone
from stripe.params import (
    CustomerCreateParams,
    PriceCreateParams,
    ProductCreateParams,
    SubscriptionCancelParams,
    SubscriptionListParams,
    SubscriptionUpdateParams,
)
from stripe.params.checkout import SessionCreateParams

from saas.billing.models import Plan
from saas.billing.providers import fetched_objects
from saas.billing.providers.interface import (
    API_VERSION,
    ChangePreview,
    CheckoutSession,
    ProviderPageRequired,
    ProviderRefused,
    ProviderUnavailable,
)
from saas.billing.sync import stripe_objects
from saas.security.untrusted_json import as_integer, as_text, as_time

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
NETWORK_RETRIES = 2
LONGEST_SENTENCE = 500
LONGEST_LIST = 1_000  # of one customer's objects: the latest


class StripeGateway:
    provider = "stripe"

    def __init__(self, key: str = "", api_base: str = "") -> None:
        """With the key and address of the settings, unless others are given."""
        api_base = api_base or settings.STRIPE_API_BASE
        addresses: Any = {"api": api_base} if api_base else {}
        self.client = stripe.StripeClient(
            key or settings.STRIPE_SECRET_KEY,
            stripe_version=API_VERSION,
            max_network_retries=NETWORK_RETRIES,
            base_addresses=addresses,
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
        ).v1

    def create_customer(self, *, reference: str, email: str, name: str, idempotency_key: str) -> str:
        wanted: CustomerCreateParams = {"email": email, "name": name, "metadata": {"customer_id": reference}}
        customer = self._call_and_store(
            lambda: self.client.customers.create(wanted, {"idempotency_key": idempotency_key})
        )
        return str(customer["id"])

    def create_checkout(
        self, *, reference: str, customer_id: str, price_id: str, trial_days: int, idempotency_key: str
    ) -> CheckoutSession:
        wanted: SessionCreateParams = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": reference,
            "line_items": [{"price": price_id, "quantity": 1}],
            "success_url": f"{settings.FRONTEND_BASE_URL}/billing/success?checkout_id={reference}",
            "cancel_url": f"{settings.FRONTEND_BASE_URL}/billing/cancel",
            "metadata": {"checkout_id": reference},
            "subscription_data": {"metadata": {"checkout_id": reference}},
        }
        if trial_days:
            wanted["subscription_data"]["trial_period_days"] = trial_days
        with _translate_errors():
            session = _raw_json(self.client.checkout.sessions.create(wanted, {"idempotency_key": idempotency_key}))
        return CheckoutSession(as_text(session["id"]), as_text(session.get("url"), 2048))

    def fetch_checkout(self, session_id: str) -> None:
        session = self._call_and_store(lambda: self.client.checkout.sessions.retrieve(session_id))
        if subscription_id := stripe_objects.id_of(session.get("subscription")):
            self.fetch_subscription(subscription_id)

    def expire_checkout(self, session_id: str) -> None:
        try:
            self._call_and_store(lambda: self.client.checkout.sessions.expire(session_id))
        except ProviderRefused:  # it is over: completed or expired
            self.fetch_checkout(session_id)

    def fetch_subscription(self, subscription_id: str) -> None:
        self._call_and_store(lambda: self.client.subscriptions.retrieve(subscription_id))

    def list_objects(self, customer_id: str, kind: str) -> list[dict[str, Any]]:
        with _translate_errors():
            if kind == "customer":
                return [_raw_json(self.client.customers.retrieve(customer_id))]
            return list(islice(_rows(self._first_page(customer_id, kind)), LONGEST_LIST))

    def _first_page(self, customer_id: str, kind: str) -> stripe.ListObject[Any]:
        match kind:
            case "subscription":
                wanted: SubscriptionListParams = {"customer": customer_id, "status": "all", "limit": 100}
                return self.client.subscriptions.list(wanted)
            case "invoice":
                return self.client.invoices.list({"customer": customer_id, "limit": 100})
            case _:
                return self.client.payment_methods.list({"customer": customer_id, "limit": 100})

    def change_subscription(self, *, subscription_id: str, item_id: str, price_id: str, quantity: int) -> None:
        self._call_and_store(
            lambda: self.client.subscriptions.update(
                subscription_id,
                {
                    "items": [{"id": item_id, "price": price_id, "quantity": quantity}],
                    "proration_behavior": "create_prorations",
                },
            )
        )

    def preview_change(self, *, subscription_id: str, item_id: str, price_id: str, quantity: int) -> ChangePreview:
        with _translate_errors():
            invoice = _raw_json(
                self.client.invoices.create_preview(
                    {
                        "subscription": subscription_id,
                        "subscription_details": {
                            "items": [{"id": item_id, "price": price_id, "quantity": quantity}],
                            "proration_behavior": "create_prorations",
                        },
                    }
                )
            )
        return ChangePreview(
            due_cents=as_integer(invoice.get("amount_due")) or 0,
            currency=as_text(invoice.get("currency"), 8),
            next_charge_at=as_time(invoice.get("next_payment_attempt")),
        )

    def set_cancel_at_period_end(self, subscription_id: str, *, value: bool, reason: str = "") -> None:
        wanted: SubscriptionUpdateParams = {"cancel_at_period_end": value}
        if reason:
            wanted["cancellation_details"] = {"comment": reason}
        self._call_and_store(lambda: self.client.subscriptions.update(subscription_id, wanted))

    def clear_cancel_at(self, subscription_id: str) -> None:
        self._call_and_store(lambda: self.client.subscriptions.update(subscription_id, {"cancel_at": ""}))

    def extend_trial(self, subscription_id: str, *, trial_end: datetime) -> None:
        wanted: SubscriptionUpdateParams = {"trial_end": int(trial_end.timestamp()), "proration_behavior": "none"}
        self._call_and_store(lambda: self.client.subscriptions.update(subscription_id, wanted))

    def cancel_subscription(self, subscription_id: str, *, reason: str = "") -> None:
        wanted: SubscriptionCancelParams = {"cancellation_details": {"comment": reason}} if reason else {}
        self._call_and_store(lambda: self.client.subscriptions.cancel(subscription_id, wanted))

    def attach_payment_method(
        self, *, customer_id: str, type: str, brand: str, last4: str, exp_month: int | None, exp_year: int | None
    ) -> str:
        raise ProviderPageRequired

    def detach_payment_method(self, payment_method_id: str) -> None:
        self._call_and_store(lambda: self.client.payment_methods.detach(payment_method_id), "payment_method.detached")

    def portal_url(self, *, customer_id: str, return_url: str) -> str:
        with _translate_errors():
            page = self.client.billing_portal.sessions.create({"customer": customer_id, "return_url": return_url})
        return str(page.url)

    def ensure_price(self, plan: Plan) -> tuple[str, bool]:
        """The id of the price of the plan as it is now, and whether it was created by this call.

        The lookup key holds plan, amount and currency: it is unique at Stripe, and a price never changes.
        """
        key = f"saas:{plan.pk}:{plan.currency}:{plan.price_cents}:month"
        with _translate_errors():
            if there := self.client.prices.list({"lookup_keys": [key], "active": True, "limit": 1}).data:
                return str(there[0].id), False
            wanted: PriceCreateParams = {
                "product": self._ensure_product(plan),
                "currency": plan.currency,
                "unit_amount": plan.price_cents,
                "recurring": {"interval": "month"},
                "lookup_key": key,
                "transfer_lookup_key": True,
                "metadata": {"plan_id": plan.pk},
            }
            return str(self.client.prices.create(wanted, {"idempotency_key": f"price:{key}"}).id), True

    def _ensure_product(self, plan: Plan) -> str:
        """Products have ids that we choose, so that a repeated run finds them."""
        id = f"saas_plan_{plan.pk}"
        try:
            return str(self.client.products.update(id, {"name": plan.name, "active": True}).id)
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
        wanted: ProductCreateParams = {"id": id, "name": plan.name, "metadata": {"plan_id": plan.pk}}
        return str(self.client.products.create(wanted, {"idempotency_key": f"product:{id}"}).id)

    def _call_and_store(self, call: Callable[[], Any], event_type: str = "") -> dict[str, Any]:
        """The object that ``call`` returns, after storing it as an event."""
        asked_at = timezone.now()
        with _translate_errors():
            found = _raw_json(call())
        fetched_objects.store_fetched_object(found, asked_at=asked_at, event_type=event_type)
        return found


def _raw_json(answer: stripe.StripeObject) -> dict[str, Any]:
    """The JSON of an answer, as it came."""
    assert answer.last_response is not None  # every answer to a call has it
    return dict(json.loads(answer.last_response.body))


def _rows(page: stripe.ListObject[Any]) -> Iterator[dict[str, Any]]:
    """The objects of a list, page by page."""
    while True:
        yield from _raw_json(page)["data"]
        if not page.has_more:
            return
        page = page.next_page()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise our errors for the SDK's. Stripe's reason for a refusal is shown to the caller. Only the error's kind, code and
    request id are logged."""
    try:
        yield
    except stripe.StripeError as error:
        facts = {"kind": type(error).__name__, "error_code": error.code, "stripe_request": error.request_id}
        logger.warning("stripe_failed %s", facts)
        if isinstance(error, stripe.InvalidRequestError | stripe.CardError):
            raise ProviderRefused(as_text(error.user_message, LONGEST_SENTENCE)) from error
        if isinstance(error, stripe.IdempotencyError):
            raise ProviderRefused from error
        raise ProviderUnavailable(retry_after_seconds=5) from error
