"""The tables of billing. Rows that copy the provider's objects have no constraints of ours: the provider is right."""

from saas.billing.models.catalogue import Plan, Price, Product
from saas.billing.models.checkouts import Checkout
from saas.billing.models.customers import Customer, Owner, PaymentMethod, Workspace
from saas.billing.models.invoices import Invoice
from saas.billing.models.ledger import LedgerEntry
from saas.billing.models.local import LocalClock, LocalObject
from saas.billing.models.overrides import EntitlementOverride
from saas.billing.models.subscriptions import Subscription

__all__ = [
    "Checkout",
    "Customer",
    "EntitlementOverride",
    "Invoice",
    "LedgerEntry",
    "LocalClock",
    "LocalObject",
    "Owner",
    "PaymentMethod",
    "Plan",
    "Price",
    "Product",
    "Subscription",
    "Workspace",
]
