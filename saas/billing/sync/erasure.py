"""Erase a person from what billing stores of the providers: customers, stored events, the local provider's objects.

Rows are projections of events. So the events' payloads are redacted, and the rows projected again: a rebuild finds no
difference. What a customer's own objects say about people is known by its place, elsewhere by the person's values.
"""

import re
from collections.abc import Callable
from functools import partial, reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Func, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast

from saas.accounts.models import User
from saas.accounts.privacy.personal_values import PersonalValues
from saas.billing.models import Customer, LocalObject, PaymentMethod, TaxId
from saas.billing.sync.rebuild import KINDS
from saas.security.untrusted_json import JSONObject
from saas.webhook_events.models import WebhookEvent
from saas.webhook_events.payload_erasure import ERASED, erase_payloads

# Stripe's fields that hold what a person is called, where they are reached, how they pay, and what was written about them.
_PERSONAL = {
    *("email", "customer_email", "receipt_email", "name", "customer_name", "individual_name", "business_name", "phone"),
    *("customer_phone", "address", "customer_address", "shipping", "customer_shipping", "shipping_details"),
    *("shipping_address", "collected_information", "billing_details", "customer_details", "description", "tax_ids"),
    *("customer_tax_ids", "custom_fields", "comment", "footer", "ip", "ip_address", "user_agent", "preferred_locales"),
    *("card", "us_bank_account", "sepa_debit", "payment_method_details", "default_payment_method", "default_source"),
    *("invoice_prefix", "sources", "owner", "statement_descriptor", "verified_name", "verified_address"),
}
_OURS = {"price", "plan", "product", "coupon", "tax_rates"}  # subtrees about what is sold
_ID = re.compile(r"[a-z]{2,8}_[0-9A-Za-z_]+")
_Redact = Callable[[JSONObject], JSONObject]


def erase_customer_data(user: User, values: PersonalValues) -> None:
    """Erase the customers that are the person's alone, and the person's values in those of others."""
    own = Customer.objects.filter(pk__in=_own_customers(user, values))
    others = Customer.objects.filter(_mentioning("email", values) | _mentioning("told_email", values)).exclude(
        pk__in=own
    )
    own_ids, other_ids = _external_ids(own), _external_ids(others)
    PaymentMethod.objects.filter(customer__in=own).delete()
    TaxId.objects.filter(customer__in=own).delete()
    own.update(email="", told_email="", told_name="", default_payment_method="")
    _erase_objects(own_ids, partial(_redact_own, values=values))
    others.update(email="", told_email="", told_name="")
    _erase_objects(other_ids, values.redact)
    _erase_events(_unowned_events(values), values.redact)


def _own_customers(user: User, values: PersonalValues) -> list[str]:
    """Those of the account, of teams that ended with it, and those that no account has and whose address is theirs."""
    is_stub = Q(user=None, team=None) & _mentioning("email", values)
    ended = Q(team__owner=user, team__deleted_at__isnull=False)
    return list(Customer.objects.filter(Q(user=user) | ended | is_stub).values_list("pk", flat=True))


def _mentioning(field: str, values: PersonalValues) -> Q:
    return reduce(or_, (Q(**{f"{field}__iexact": email}) for email in values.emails))


def _external_ids(customers: QuerySet[Customer]) -> list[str]:
    return list(customers.exclude(external_id="").values_list("external_id", flat=True))


def _erase_objects(customer_ids: list[str], redact: _Redact) -> None:
    """In the local provider's tables and in the stored events, then in the rows."""
    local = LocalObject.objects.filter(Q(pk__in=customer_ids) | Q(customer_id__in=customer_ids))
    for row in local.iterator():
        if (data := redact(row.data)) != row.data:
            LocalObject.objects.filter(pk=row.pk).update(data=data)
    _erase_events(WebhookEvent.objects.filter(Q(customer_id__in=customer_ids) | Q(object_id__in=customer_ids)), redact)


def _erase_events(events: QuerySet[WebhookEvent], redact: _Redact) -> None:
    changed = {(event.type, event.object_id) for event in erase_payloads(events, redact)}
    for kind in KINDS:
        for object_id in sorted({object_id for type, object_id in changed if type.startswith(kind.prefix)}):
            kind.upsert(object_id)


def _unowned_events(values: PersonalValues) -> QuerySet[WebhookEvent]:
    """Events of no customer whose bytes may hold the person's values."""
    is_found = reduce(or_, (Q(text__icontains=part) for part in values.search_parts))
    as_text = (
        Func("payload__body", Value("escape"), function="encode", output_field=TextField())
        if connection.vendor == "postgresql"
        else Cast("payload__body", TextField())
    )
    return WebhookEvent.objects.filter(customer_id="").alias(text=as_text).filter(is_found)


def _redact_own(event: JSONObject, values: PersonalValues) -> JSONObject:
    """An event, or an object, of a customer who is the person's alone."""
    redacted: JSONObject = values.redact(_without_personal_fields(event))
    return redacted


def _without_personal_fields(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_personal_fields(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("object") in ("payment_method", "tax_id"):  # a set would need it to be hashable
        return {**{name: value.get(name) for name in ("id", "object", "customer")}, ERASED: True}
    return {name: _redacted_field(name, inner) for name, inner in value.items()}


def _redacted_field(name: str, value: Any) -> Any:
    if name in _PERSONAL:
        return None
    if name == "metadata" and isinstance(value, dict):
        return {key: text for key, text in value.items() if isinstance(text, str) and _ID.fullmatch(text)}
    return value if name in _OURS else _without_personal_fields(value)
