"""The local provider's gateway: billing works without keys or network, on the path that Stripe's events take."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from saas.billing import clock
from saas.billing.models import BillingDetails, LocalObject, Plan, Price, PriceTerms, PromotionCode
from saas.billing.providers import fetched_objects
from saas.billing.providers.interface import CheckoutSession, InvoicePreview, ProviderRefused, UnansweredRefund
from saas.billing.providers.local import lifecycle, objects, operations, previews


class LocalGateway:
    """Each call is a transaction of its own, as at any provider; its events are in the inbox when it returns."""

    provider = "local"

    @transaction.atomic
    def create_customer(
        self, *, reference: str, email: str, name: str, idempotency_key: str, details: BillingDetails | None = None
    ) -> str:
        row, is_new = objects.create_object(
            "customer",
            "cus",
            now := clock.now(),
            idempotency_key=idempotency_key,
            email=email,
            name=name,
            delinquent=False,
            invoice_settings={"default_payment_method": None},
            metadata={"customer_id": reference},
            **_billed_to(details),
        )
        if is_new:
            objects.record_event("customer.created", row, now)
            if details and details.tax_id:
                operations.replace_tax_ids(row.id, details.tax_id_kind, details.tax_id, now)
            objects.move_events_to_inbox(row.id)
        return row.id

    def find_customer(self, *, reference: str, email: str) -> str:
        rows = LocalObject.objects.of_kind("customer").filter(data__metadata__customer_id=reference)
        return rows.values_list("pk", flat=True).first() or ""

    @transaction.atomic
    def update_customer(
        self, customer_id: str, *, email: str, name: str, details: BillingDetails | None = None
    ) -> None:
        row = objects.lock_customer(customer_id)
        changes = {"email": email, "name": name, **_billed_to(details)}
        objects.update_object(row, "customer.updated", now := clock.now(), **changes)
        if details and details.had_tax_id:
            operations.replace_tax_ids(row.id, details.tax_id_kind, details.tax_id, now)
        objects.move_events_to_inbox(row.id)

    @transaction.atomic
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
        operations.require_currency(customer_id, objects.price_object(price_id)["currency"])
        bought = {"price_id": price_id, "quantity": quantity, "needs_card": needs_card}
        bought["promotion_code"] = promotion_code_id
        row, is_new = objects.create_object(
            "checkout.session",
            "cs_local",
            now := clock.now(),
            customer_id=customer_id,
            idempotency_key=idempotency_key,
            client_reference_id=reference,
            mode="subscription",
            status="open",
            payment_status="unpaid",
            subscription=None,
            trial_period_days=trial_days,
            metadata=bought,
        )
        if on_page or settings.BILLING_LOCAL_CHECKOUT == "hosted":
            return CheckoutSession(row.id, f"{settings.SERVICE_BASE_URLS['product']}/checkout/{row.id}")
        if is_new:
            operations.complete_session(row, now)
            objects.move_events_to_inbox(customer_id)
        return CheckoutSession(row.id, "")

    def ensure_promotion_code(self, code: PromotionCode) -> str:
        return code.pk

    @transaction.atomic
    def apply_promotion_code(self, subscription_id: str, promotion_code_id: str) -> None:
        row = objects.lock_object(subscription_id, "subscription")
        operations.apply_coupon(row, promotion_code_id, clock.now())
        objects.move_events_to_inbox(row.customer_id)

    def fetch_checkout(self, session_id: str) -> None:
        session = self._fetch(session_id)
        if subscription_id := session["subscription"]:
            self.fetch_subscription(subscription_id)

    @transaction.atomic
    def expire_checkout(self, session_id: str) -> None:
        row = objects.lock_object(session_id, "checkout.session")
        operations.expire_session(row, clock.now())
        objects.move_events_to_inbox(row.customer_id)

    def fetch_subscription(self, subscription_id: str) -> None:
        self._fetch(subscription_id)

    def fetch_object(self, kind: str, id: str) -> None:
        self._fetch(id)

    def list_customers(self) -> Iterator[dict[str, Any]]:
        for row in LocalObject.objects.of_kind("customer").order_by("pk"):
            yield row.data

    def list_objects(self, customer_id: str, kind: str) -> list[dict[str, Any]]:
        rows = LocalObject.objects.of_kind(kind).filter(Q(customer_id=customer_id) | Q(pk=customer_id)).order_by("pk")
        return [row.data for row in rows if row.data.get("customer", customer_id)]  # without what was detached

    def _fetch(self, id: str) -> dict[str, Any]:
        asked_at = clock.now()
        row = LocalObject.objects.filter(pk=id).first()
        if row is None:
            raise ProviderRefused("There is no such object.")
        fetched_objects.store_fetched_object(row.data, asked_at=asked_at)
        return dict(row.data)

    @transaction.atomic
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
        row = objects.lock_object(subscription_id, "subscription")
        operations.change_price(
            row,
            price_id,
            clock.now(),
            quantity=quantity,
            prorate=prorate,
            prorated_at=prorated_at,
            needs_payment=needs_payment,
        )
        objects.move_events_to_inbox(row.customer_id)

    def preview_change(
        self, *, subscription_id: str, item_id: str, price_id: str, quantity: int, prorated_at: datetime
    ) -> InvoicePreview:
        return previews.preview_change(_subscription(subscription_id), price_id, prorated_at, quantity=quantity)

    def preview_next_invoice(self, subscription_id: str) -> InvoicePreview:
        return previews.preview_next_invoice(_subscription(subscription_id))

    @transaction.atomic
    def set_cancel_at_period_end(self, subscription_id: str, *, value: bool, reason: str = "") -> None:
        row = objects.lock_object(subscription_id, "subscription")
        operations.set_cancel_at_period_end(row, clock.now(), value=value, reason=reason)
        objects.move_events_to_inbox(row.customer_id)

    def clear_cancel_at(self, subscription_id: str) -> None:
        """Here every cancellation is for the end of the period."""
        self.set_cancel_at_period_end(subscription_id, value=False)

    @transaction.atomic
    def resume_paused_trial(self, subscription_id: str) -> bool:
        """Here nothing else pauses. A card that is added does it, too."""
        row = objects.lock_object(subscription_id, "subscription")
        lifecycle.pay_open_invoices(row.customer_id, clock.now())
        objects.move_events_to_inbox(row.customer_id)
        return True

    @transaction.atomic
    def extend_trial(self, subscription_id: str, *, trial_end: datetime) -> None:
        row, end = objects.lock_object(subscription_id, "subscription"), objects.timestamp(trial_end)
        if row.data["status"] != "trialing":
            raise ProviderRefused("This subscription is not on trial.")
        line = {**row.data["items"]["data"][0], "current_period_end": end}
        items = {**row.data["items"], "data": [line]}
        changes = {"trial_end": end, "billing_cycle_anchor": end, "items": items}
        if row.data["cancel_at_period_end"]:
            changes["cancel_at"] = end
        objects.update_object(row, "customer.subscription.updated", clock.now(), **changes)
        objects.move_events_to_inbox(row.customer_id)

    @transaction.atomic
    def cancel_subscription(self, subscription_id: str, *, reason: str = "") -> None:
        row = objects.lock_object(subscription_id, "subscription")
        lifecycle.end_subscription(row, clock.now(), reason=reason)
        objects.move_events_to_inbox(row.customer_id)

    @transaction.atomic
    def refund_invoice(
        self,
        invoice_id: str,
        *,
        amount_cents: int,
        reason: str,
        idempotency_key: str,
        unanswered: UnansweredRefund | None = None,
    ) -> str:
        invoice = objects.lock_object(invoice_id, "invoice")
        refund = operations.refund_invoice(invoice, amount_cents, clock.now(), idempotency_key=idempotency_key)
        objects.move_events_to_inbox(invoice.customer_id)
        return refund.id

    def invoice_url(self, invoice_id: str) -> str:
        row = LocalObject.objects.filter(pk=invoice_id, kind="invoice").first()
        return str(row.data["hosted_invoice_url"]) if row else ""

    @transaction.atomic
    def credit_customer(
        self, customer_id: str, *, amount_cents: int, currency: str, reason: str, idempotency_key: str
    ) -> None:
        operations.credit_customer(customer_id, amount_cents, currency, clock.now(), idempotency_key=idempotency_key)
        objects.move_events_to_inbox(customer_id)

    @transaction.atomic
    def attach_payment_method(
        self, *, customer_id: str, type: str, brand: str, last4: str, exp_month: int | None, exp_year: int | None
    ) -> str:
        details: dict[str, Any] = {"brand": brand, "last4": last4, "exp_month": exp_month, "exp_year": exp_year}
        id = operations.attach_payment_method(customer_id, type, clock.now(), **details)
        objects.move_events_to_inbox(customer_id)
        return id

    @transaction.atomic
    def detach_payment_method(self, payment_method_id: str) -> None:
        row = objects.lock_object(payment_method_id, "payment_method")
        operations.detach_payment_method(row, clock.now())
        objects.move_events_to_inbox(row.customer_id)

    def ensure_price(self, plan: Plan, terms: PriceTerms, *, version: int = 0) -> tuple[str, bool]:
        """The catalogue's rows are this provider's prices, and have their ids."""
        rows = Price.objects.filter(provider=self.provider, plan=plan, currency=terms.currency, interval=terms.interval)
        row = rows.exclude(external_id=None).order_by("-is_current", "-version").first()
        if row is None or row.external_id is None:
            raise ProviderRefused("There is no such price.")
        return row.external_id, False

    @transaction.atomic
    def portal_url(self, *, customer_id: str, return_url: str) -> str:
        objects.lock_customer(customer_id)
        page, _ = objects.create_object(
            "billing_portal.session", "bps_local", clock.now(), customer_id=customer_id, return_url=return_url
        )
        return f"{settings.SERVICE_BASE_URLS['product']}/billing/portal/{page.id}"


def _billed_to(details: BillingDetails | None) -> dict[str, Any]:
    """The fields of a customer's object."""
    if details is None:
        return {}
    tax_ids = [{"type": details.tax_id_kind, "value": details.tax_id}] if details.tax_id else []
    return {"address": details.address or None, "tax_ids": tax_ids}


def _subscription(id: str) -> LocalObject:
    """To read it: nothing is locked."""
    row = LocalObject.objects.filter(pk=id, kind="subscription").first()
    if row is None:
        raise ProviderRefused("There is no such subscription.")
    return row
