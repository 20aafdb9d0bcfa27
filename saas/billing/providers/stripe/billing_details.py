"""The billing address and the tax ids of a customer, at Stripe."""

from typing import Any

from django.utils import timezone
from stripe.params import CustomerCreateParams, CustomerCreateParamsAddress, CustomerUpdateParams

from saas.billing.models import BillingDetails
from saas.billing.providers import fetched_objects
from saas.billing.providers.stripe.answers import raw_json, rows, translate_errors

MOST_TAX_IDS = 5  # of a customer


def address_params(details: BillingDetails) -> CustomerCreateParamsAddress:
    """All fields: Stripe keeps those that are not sent."""
    return {
        "line1": details.line1,
        "line2": details.line2,
        "postal_code": details.postal_code,
        "city": details.city,
        "state": details.state,
        "country": details.country,
    }


def changed_address(details: BillingDetails) -> CustomerUpdateParams:
    """An address that was given here, also where it was taken back; what Stripe's own pages have asked for stays."""
    if details.address:
        return {"address": address_params(details)}
    return {"address": ""} if details.had_address else {}


def creation_params(details: BillingDetails | None) -> CustomerCreateParams:
    """What a new customer has of them."""
    wanted: CustomerCreateParams = {}
    if details and details.address:
        wanted["address"] = address_params(details)
    if details and details.tax_id and not details.tax_id_refusal:
        wanted["tax_id_data"] = [{"type": details.tax_id_kind, "value": details.tax_id}]
    return wanted


def replace_tax_ids(client: Any, customer_id: str, details: BillingDetails) -> None:
    """``client`` is the SDK's. The new one is added before the others go, so a refusal leaves what there was; of five, which is
    the most that Stripe takes, one goes first. Each change enters the inbox. Raises ``TaxIdRefused``."""
    tax_ids, wanted = client.customers.tax_ids, (details.tax_id_kind, details.tax_id)
    asked_at = timezone.now()
    with translate_errors():
        there = list(rows(tax_ids.list(customer_id, {"limit": 100})))
    others = [one for one in there if (one["type"], one["value"]) != wanted]
    if details.tax_id and len(others) == len(there):
        if len(there) >= MOST_TAX_IDS:
            _delete(tax_ids, customer_id, others.pop())
        with translate_errors():
            made = raw_json(tax_ids.create(customer_id, {"type": details.tax_id_kind, "value": details.tax_id}))
        fetched_objects.store_fetched_object(made, asked_at=asked_at)
    for one in others:
        _delete(tax_ids, customer_id, one)


def _delete(tax_ids: Any, customer_id: str, one: dict[str, Any]) -> None:
    asked_at = timezone.now()
    with translate_errors():
        tax_ids.delete(customer_id, str(one["id"]))
    fetched_objects.store_fetched_object(one, asked_at=asked_at, event_type="customer.tax_id.deleted")
