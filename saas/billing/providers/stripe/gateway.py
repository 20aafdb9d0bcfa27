"""Stripe's gateway, through the official SDK. Every object that a call returns is stored as a fetched event.

Stored is the JSON that Stripe sent, never the SDK's objects: those hold values (``Decimal``) that JSON does not have.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import stripe
from django.conf import settings
from django.utils import timezone
from stripe.params import (
    CustomerBalanceTransactionCreateParams,
    CustomerUpdateParams,
    InvoiceCreatePreviewParams,
    InvoiceCreatePreviewParamsSubscriptionDetails,
    InvoiceRetrieveParams,
    ProductCreateParams,
    SubscriptionCancelParams,
    SubscriptionListParams,
    SubscriptionRetrieveParams,
    SubscriptionUpdateParams,
    SubscriptionUpdateParamsDiscount,
)
from stripe.params.checkout import SessionCreateParams

from saas.billing.models import BillingDetails, Interval, Plan, PriceTerms, PromotionCode
from saas.billing.providers import fetched_objects
from saas.billing.providers.interface import (
    API_VERSION,
    CheckoutSession,
    InvoicePreview,
    PaymentDeclined,
    ProviderPageRequired,
    ProviderRefused,
    UnansweredRefund,
)
from saas.billing.providers.stripe import coupons, pending_updates, refunds
from saas.billing.providers.stripe.answers import brief_key, made_for, raw_json, rows, translate_errors
from saas.billing.providers.stripe.billing_details import changed_address, creation_params, replace_tax_ids
from saas.billing.providers.stripe.previews import read_preview
from saas.billing.providers.stripe.prices import lookup_key, price_params
from saas.billing.sync import stripe_objects
from saas.errors import DomainError
from saas.security.untrusted_json import as_text

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS, NETWORK_RETRIES = 10, 2
BRIEF_TIMEOUT_SECONDS = 3  # for what a page can do without; tried once
# Discounts are ids otherwise; for which products they are, and amounts in other currencies, are left out.
WHOLE = [
    "discounts.source.coupon.applies_to",
    "discounts.source.coupon.currency_options",
    "items.data.discounts",
    "items.data.price.currency_options",
]
LONGEST_LIST = 1_000  # of one customer's objects: the latest


class StripeGateway:
    provider = "stripe"

    def __init__(self, key: str = "", api_base: str = "") -> None:
        """With the key and address of the settings, unless others are given."""
        self._key, self._api_base = key or settings.STRIPE_SECRET_KEY, api_base or settings.STRIPE_API_BASE
        self.client = self._make_client(TIMEOUT_SECONDS, NETWORK_RETRIES)

    def _make_client(self, timeout_seconds: int, retries: int) -> stripe.V1Services:
        addresses: Any = {"api": self._api_base} if self._api_base else {}
        return stripe.StripeClient(
            self._key,
            stripe_version=API_VERSION,
            max_network_retries=retries,
            base_addresses=addresses,
            http_client=stripe.RequestsClient(timeout=timeout_seconds),
        ).v1

    def create_customer(
        self, *, reference: str, email: str, name: str, idempotency_key: str, details: BillingDetails | None = None
    ) -> str:
        wanted = creation_params(details)
        wanted.update({"email": email, "name": name, "metadata": {"customer_id": reference}})
        customer = self._call_and_store(
            lambda: self.client.customers.create(wanted, {"idempotency_key": idempotency_key})
        )
        return str(customer["id"])

    def find_customer(self, *, reference: str, email: str) -> str:
        """Among those with the address, which are listed at once; else by the search, which may be a minute behind."""
        with translate_errors():
            listed = rows(self.client.customers.list({"email": email, "limit": 100}))
            if found := made_for(reference, islice(listed, LONGEST_LIST)):
                return found
            query = f"metadata['customer_id']:'{reference}'"
            return made_for(reference, raw_json(self.client.customers.search({"query": query}))["data"])

    def update_customer(
        self, customer_id: str, *, email: str, name: str, details: BillingDetails | None = None
    ) -> None:
        wanted: CustomerUpdateParams = {"email": email, "name": name}
        if details:
            wanted.update(changed_address(details))
        self._call_and_store(lambda: self.client.customers.update(customer_id, wanted))
        if details and details.had_tax_id and not details.tax_id_refusal:
            replace_tax_ids(self.client, customer_id, details)

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
        wanted: SessionCreateParams = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": reference,
            "line_items": [{"price": price_id, "quantity": quantity}],
            "success_url": f"{settings.FRONTEND_BASE_URL}/billing/success?checkout_id={reference}",
            "cancel_url": f"{settings.FRONTEND_BASE_URL}/billing/cancel?checkout_id={reference}",
            "metadata": {"checkout_id": reference},
            "subscription_data": {"metadata": {"checkout_id": reference}},
        }
        if trial_days:
            wanted["subscription_data"]["trial_period_days"] = trial_days
        if not needs_card:
            wanted["payment_method_collection"] = "if_required"
            if trial_days:
                wanted["subscription_data"]["trial_settings"] = {"end_behavior": {"missing_payment_method": "pause"}}
        if promotion_code_id:
            wanted["discounts"] = [{"promotion_code": promotion_code_id}]
        if settings.BILLING_AUTOMATIC_TAX:
            wanted["automatic_tax"] = {"enabled": True}
            wanted["tax_id_collection"] = {"enabled": True}
            wanted["billing_address_collection"] = "required"
            wanted["customer_update"] = {"address": "auto", "name": "auto"}
        with translate_errors():
            session = raw_json(self.client.checkout.sessions.create(wanted, {"idempotency_key": idempotency_key}))
        return CheckoutSession(as_text(session["id"]), as_text(session.get("url"), 2048))

    def ensure_promotion_code(self, code: PromotionCode) -> str:
        if code.external_id:
            return code.external_id
        with translate_errors():
            id, coupon_id = coupons.find_or_create(self.client, code)
        PromotionCode.objects.filter(pk=code.pk).update(external_id=id, external_coupon_id=coupon_id)
        return id

    def apply_promotion_code(self, subscription_id: str, promotion_code_id: str) -> None:
        """Stripe replaces the discounts by those that are sent: the present ones are among them."""
        kept = [stripe_objects.id_of(one) for one in self._retrieve(subscription_id).get("discounts") or []]
        discounts: list[SubscriptionUpdateParamsDiscount] = [{"discount": id} for id in kept if id]
        wanted: SubscriptionUpdateParams = {"discounts": [*discounts, {"promotion_code": promotion_code_id}]}
        self._call_and_store(lambda: self.client.subscriptions.update(subscription_id, wanted))

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
        wanted: SubscriptionRetrieveParams = {"expand": WHOLE}
        self._call_and_store(lambda: self.client.subscriptions.retrieve(subscription_id, wanted))

    def fetch_object(self, kind: str, id: str) -> None:
        retrieve: dict[str, Callable[[str], Any]] = {
            "charge": lambda id: self.client.charges.retrieve(id, {"expand": ["refunds"]}),
            "coupon": lambda id: self.client.coupons.retrieve(id, {"expand": ["applies_to", "currency_options"]}),
            "credit_note": self.client.credit_notes.retrieve,
            "customer": self.client.customers.retrieve,
            "dispute": self.client.disputes.retrieve,
            "invoice": self.client.invoices.retrieve,
            "invoice_payment": self.client.invoice_payments.retrieve,
            "payment_method": self.client.payment_methods.retrieve,
            "price": self.client.prices.retrieve,
            "product": self.client.products.retrieve,
            "radar.early_fraud_warning": self.client.radar.early_fraud_warnings.retrieve,
            "refund": self.client.refunds.retrieve,
            "tax_id": self.client.tax_ids.retrieve,
        }
        self._call_and_store(lambda: retrieve[kind](id))

    def list_customers(self) -> Iterator[dict[str, Any]]:
        with translate_errors():
            yield from rows(self.client.customers.list({"limit": 100}))

    def list_objects(self, customer_id: str, kind: str) -> list[dict[str, Any]]:
        with translate_errors():
            if kind == "customer":
                return [raw_json(self.client.customers.retrieve(customer_id))]
            return list(islice(rows(self._first_page(customer_id, kind)), LONGEST_LIST))

    def _first_page(self, customer_id: str, kind: str) -> stripe.ListObject[Any]:
        match kind:
            case "subscription":
                wanted: SubscriptionListParams = {
                    "customer": customer_id,
                    "status": "all",
                    "limit": 100,
                    "expand": ["data.discounts"],
                }
                return self.client.subscriptions.list(wanted)
            case "invoice":
                return self.client.invoices.list({"customer": customer_id, "limit": 100})
            case "tax_id":
                return self.client.customers.tax_ids.list(customer_id, {"limit": 100})
            case _:
                return self.client.payment_methods.list({"customer": customer_id, "limit": 100})

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
        wanted: SubscriptionUpdateParams = {
            "items": [{"id": item_id, "price": price_id, "quantity": quantity}],
            "proration_behavior": "create_prorations" if prorate else "none",
        }
        if prorated_at:
            wanted["proration_date"] = int(prorated_at.timestamp())
        if not (needs_payment and pending_updates.can_wait(self.client, subscription_id)):
            self._update_or_release(subscription_id, wanted)
            return
        wanted["payment_behavior"] = "pending_if_incomplete"
        if self._update_or_release(subscription_id, wanted).get("pending_update"):
            raise PaymentDeclined(pending_updates.WAITS_FOR_PAYMENT)

    def preview_change(
        self, *, subscription_id: str, item_id: str, price_id: str, quantity: int, prorated_at: datetime
    ) -> InvoicePreview:
        change: InvoiceCreatePreviewParamsSubscriptionDetails = {
            "items": [{"id": item_id, "price": price_id, "quantity": quantity}],
            "proration_behavior": "create_prorations",
            "proration_date": int(prorated_at.timestamp()),
        }
        wanted: InvoiceCreatePreviewParams = {"subscription": subscription_id, "subscription_details": change}
        with translate_errors():
            return read_preview(raw_json(self.client.invoices.create_preview(wanted)), prorated_at)

    def preview_next_invoice(self, subscription_id: str) -> InvoicePreview:
        client = self._make_client(BRIEF_TIMEOUT_SECONDS, 0)
        with translate_errors():
            return read_preview(raw_json(client.invoices.create_preview({"subscription": subscription_id})))

    def set_cancel_at_period_end(self, subscription_id: str, *, value: bool, reason: str = "") -> None:
        wanted: SubscriptionUpdateParams = {"cancel_at_period_end": value}
        if reason:
            wanted["cancellation_details"] = {"comment": reason}
        self._update_or_release(subscription_id, wanted)

    def clear_cancel_at(self, subscription_id: str) -> None:
        self._update_or_release(subscription_id, {"cancel_at": ""})

    def _retrieve(self, subscription_id: str) -> dict[str, Any]:
        with translate_errors():
            return raw_json(self.client.subscriptions.retrieve(subscription_id))

    def _schedule_of(self, subscription_id: str) -> str:
        """The id of the schedule that manages it; empty where there is none, or Stripe does not say."""
        try:
            return stripe_objects.id_of(self._retrieve(subscription_id).get("schedule"))
        except DomainError:
            return ""

    def _update_or_release(self, subscription_id: str, wanted: SubscriptionUpdateParams) -> dict[str, Any]:
        """Update it. One that a schedule manages is released first: what was scheduled before makes no sense afterwards."""
        try:
            return self._call_and_store(lambda: self.client.subscriptions.update(subscription_id, wanted))
        except ProviderRefused as refusal:
            if "schedule" not in refusal.detail or not (schedule_id := self._schedule_of(subscription_id)):
                raise
            with translate_errors():
                self.client.subscription_schedules.release(schedule_id)
            return self._call_and_store(lambda: self.client.subscriptions.update(subscription_id, wanted))

    def resume_paused_trial(self, subscription_id: str) -> bool:
        shown = self._call_and_store(lambda: self.client.subscriptions.retrieve(subscription_id, {"expand": WHOLE}))
        if stripe_objects.pause_reason(shown) != stripe_objects.TRIAL_ENDED_WITHOUT_CARD:
            return False
        self._call_and_store(lambda: self.client.subscriptions.resume(subscription_id))
        return True

    def extend_trial(self, subscription_id: str, *, trial_end: datetime) -> None:
        wanted: SubscriptionUpdateParams = {"trial_end": int(trial_end.timestamp()), "proration_behavior": "none"}
        self._call_and_store(lambda: self.client.subscriptions.update(subscription_id, wanted))

    def cancel_subscription(self, subscription_id: str, *, reason: str = "") -> None:
        wanted: SubscriptionCancelParams = {"cancellation_details": {"comment": reason}} if reason else {}
        self._call_and_store(lambda: self.client.subscriptions.cancel(subscription_id, wanted))

    def refund_invoice(
        self,
        invoice_id: str,
        *,
        amount_cents: int,
        reason: str,
        idempotency_key: str,
        unanswered: UnansweredRefund | None = None,
    ) -> str:
        wanted: InvoiceRetrieveParams = {"expand": ["payments"]}
        payment = refunds.payment_of(
            self._call_and_store(lambda: self.client.invoices.retrieve(invoice_id, wanted)), invoice_id
        )
        if unanswered and (made := refunds.find_made(self.client, payment, amount_cents, unanswered)):
            self.fetch_object("refund", made)
            return made
        refund = refunds.creation_params(payment, amount_cents, reason)
        created = self._call_and_store(lambda: self.client.refunds.create(refund, {"idempotency_key": idempotency_key}))
        return str(created["id"])

    def invoice_url(self, invoice_id: str) -> str:
        client = self._make_client(BRIEF_TIMEOUT_SECONDS, 0)
        with translate_errors():
            return as_text(raw_json(client.invoices.retrieve(invoice_id)).get("hosted_invoice_url"), 2048)

    def credit_customer(
        self, customer_id: str, *, amount_cents: int, currency: str, reason: str, idempotency_key: str
    ) -> None:
        wanted: CustomerBalanceTransactionCreateParams = {
            "amount": -amount_cents,
            "currency": currency,
            "description": reason[:350],
        }
        with translate_errors():
            self.client.customers.balance_transactions.create(customer_id, wanted, {"idempotency_key": idempotency_key})
        self.fetch_object("customer", customer_id)

    def attach_payment_method(
        self, *, customer_id: str, type: str, brand: str, last4: str, exp_month: int | None, exp_year: int | None
    ) -> str:
        raise ProviderPageRequired

    def detach_payment_method(self, payment_method_id: str) -> None:
        self._call_and_store(lambda: self.client.payment_methods.detach(payment_method_id), "payment_method.detached")

    def portal_url(self, *, customer_id: str, return_url: str) -> str:
        with translate_errors():
            page = self.client.billing_portal.sessions.create({"customer": customer_id, "return_url": return_url})
        return str(page.url)

    def ensure_price(self, plan: Plan, terms: PriceTerms | None = None, *, version: int = 0) -> tuple[str, bool]:
        """By default for what the plan itself states."""
        terms = terms or PriceTerms(plan.currency, Interval.MONTH, plan.price_cents or 0)
        if there := self.find_price(plan, terms, version=version):
            return there, False
        key = lookup_key(plan, terms, version)
        with translate_errors():
            wanted = price_params(plan, terms, version, self._ensure_product(plan))
            return str(self.client.prices.create(wanted, {"idempotency_key": brief_key(f"price:{key}")}).id), True

    def find_price(self, plan: Plan, terms: PriceTerms, *, version: int = 0) -> str:
        """The id of the price that ``ensure_price`` created for the same, or an empty text."""
        with translate_errors():
            key = lookup_key(plan, terms, version)
            there = self.client.prices.list({"lookup_keys": [key], "active": True, "limit": 1})
        return str(there.data[0].id) if there.data else ""

    def _ensure_product(self, plan: Plan) -> str:
        """Products have ids that we choose, so that a repeated run finds them."""
        id = f"saas_plan_{plan.pk}"
        try:
            return str(self.client.products.update(id, {"name": plan.name, "active": True}).id)
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise
        wanted: ProductCreateParams = {"id": id, "name": plan.name, "metadata": {"plan_id": plan.pk}}
        return str(self.client.products.create(wanted, {"idempotency_key": brief_key(f"product:{id}")}).id)

    def _call_and_store(self, call: Callable[[], Any], event_type: str = "") -> dict[str, Any]:
        """The object that ``call`` returns, after storing it as an event."""
        asked_at = timezone.now()
        with translate_errors():
            found = raw_json(call())
        fetched_objects.store_fetched_object(found, asked_at=asked_at, event_type=event_type)
        return found
