"""Whether what was sent to Stripe is what Stripe's own SDK says it takes: its parameter types, read at run time."""

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from stripe import params
from stripe.params import billing_portal, checkout, radar
from typing_extensions import get_type_hints, is_typeddict

_IMPORTED_FOR_TYPES_ONLY: dict[str, Any] = {"StripeContext": str, "Mapping": Mapping}

TYPES: list[tuple[str, type]] = [
    (r"POST /v1/customers", params.CustomerCreateParams),
    (r"GET /v1/customers", params.CustomerListParams),
    (r"GET /v1/customers/search", params.CustomerSearchParams),
    (r"GET /v1/customers/\w+", params.CustomerRetrieveParams),
    (r"POST /v1/customers/\w+", params.CustomerUpdateParams),
    (r"POST /v1/checkout/sessions", checkout.SessionCreateParams),
    (r"GET /v1/checkout/sessions/\w+", checkout.SessionRetrieveParams),
    (r"POST /v1/checkout/sessions/\w+/expire", checkout.SessionExpireParams),
    (r"POST /v1/billing_portal/sessions", billing_portal.SessionCreateParams),
    (r"GET /v1/subscriptions", params.SubscriptionListParams),
    (r"GET /v1/subscriptions/\w+", params.SubscriptionRetrieveParams),
    (r"POST /v1/subscription_schedules/\w+/release", params.SubscriptionScheduleReleaseParams),
    (r"GET /v1/refunds", params.RefundListParams),
    (r"POST /v1/refunds", params.RefundCreateParams),
    (r"POST /v1/customers/\w+/balance_transactions", params.CustomerBalanceTransactionCreateParams),
    (r"GET /v1/customers/\w+/tax_ids", params.CustomerTaxIdListParams),
    (r"POST /v1/customers/\w+/tax_ids", params.CustomerTaxIdCreateParams),
    (r"DELETE /v1/customers/\w+/tax_ids/\w+", params.CustomerTaxIdDeleteParams),
    (r"GET /v1/charges/\w+", params.ChargeRetrieveParams),
    (r"GET /v1/coupons/\w+", params.CouponRetrieveParams),
    (r"GET /v1/credit_notes/\w+", params.CreditNoteRetrieveParams),
    (r"GET /v1/disputes/\w+", params.DisputeRetrieveParams),
    (r"GET /v1/invoices/\w+", params.InvoiceRetrieveParams),
    (r"GET /v1/invoice_payments/\w+", params.InvoicePaymentRetrieveParams),
    (r"GET /v1/payment_methods/\w+", params.PaymentMethodRetrieveParams),
    (r"GET /v1/prices/\w+", params.PriceRetrieveParams),
    (r"GET /v1/products/\w+", params.ProductRetrieveParams),
    (r"GET /v1/radar/early_fraud_warnings/\w+", radar.EarlyFraudWarningRetrieveParams),
    (r"GET /v1/refunds/\w+", params.RefundRetrieveParams),
    (r"GET /v1/tax_ids/\w+", params.TaxIdRetrieveParams),
    (r"POST /v1/subscriptions/\w+", params.SubscriptionUpdateParams),
    (r"DELETE /v1/subscriptions/\w+", params.SubscriptionCancelParams),
    (r"POST /v1/invoices/create_preview", params.InvoiceCreatePreviewParams),
    (r"GET /v1/invoices", params.InvoiceListParams),
    (r"GET /v1/payment_methods", params.PaymentMethodListParams),
    (r"POST /v1/payment_methods/\w+/detach", params.PaymentMethodDetachParams),
    (r"GET /v1/prices", params.PriceListParams),
    (r"POST /v1/prices", params.PriceCreateParams),
    (r"POST /v1/coupons", params.CouponCreateParams),
    (r"GET /v1/promotion_codes", params.PromotionCodeListParams),
    (r"POST /v1/promotion_codes", params.PromotionCodeCreateParams),
    (r"POST /v1/products", params.ProductCreateParams),
    (r"POST /v1/products/\w+", params.ProductUpdateParams),
]


def faults(operation: str, fields: dict[str, str]) -> list[str]:
    """A sentence for each field that the SDK does not know for this call, or whose value is of another type."""
    kinds = [kind for pattern, kind in TYPES if re.fullmatch(pattern, operation)]
    if not kinds:
        return [f"{operation} is no call that the SDK's types are known of"]
    return [f"{operation}: {fault}" for fault in _check(nested(fields), kinds[0], "")]


def nested(fields: dict[str, str]) -> dict[str, Any]:
    """``{"items[0][id]": "si_1"}`` as ``{"items": {"0": {"id": "si_1"}}}``."""
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        here = tree
        *path, last = re.findall(r"[^\[\]]+", name)
        for step in path:
            here = here.setdefault(step, {})
        here[last] = value
    return tree


def _check(value: Any, kind: Any, path: str) -> list[str]:
    if is_typeddict(kind):
        return _check_fields(value, kind, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list:
        rows = value.items() if isinstance(value, dict) else []
        return [fault for number, row in rows for fault in _check(row, arguments[0], f"{path}[{number}]")]
    if origin is dict:
        return [] if isinstance(value, dict) else [f"{path} is no mapping"]
    if origin is Literal:
        return [] if value in arguments else [f"{path} is {value!r}, not one of {arguments}"]
    if arguments:  # a union
        if any(get_origin(option) is Literal and "" not in get_args(option) for option in arguments):
            arguments = tuple(option for option in arguments if option is not str)  # "or what may be added one day"
        found = [_check(value, option, path) for option in arguments]
        return [] if [] in found else found[0]
    return [] if _fits(value, kind) else [f"{path} is {value!r}, no {kind.__name__}"]


def _check_fields(value: Any, kind: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path} is no mapping"]
    hints = get_type_hints(kind, localns=_IMPORTED_FOR_TYPES_ONLY)
    found = [f"{path}.{name} is unknown" for name in value if name not in hints]
    found += [f"{path}.{name} is missing" for name in kind.__required_keys__ if name not in value]
    for name in value.keys() & hints.keys():
        found += _check(value[name], hints[name], f"{path}.{name}")
    return found


def _fits(value: Any, kind: Any) -> bool:
    """Whether a form's text can stand for a value of this type."""
    if not isinstance(value, str):
        return False
    if kind is bool:
        return value in {"true", "false"}
    if kind is float:
        return value.lstrip("-").replace(".", "", 1).isdigit()
    return value.lstrip("-").isdigit() if kind is int else kind is str
