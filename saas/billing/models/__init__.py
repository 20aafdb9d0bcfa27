"""The tables of billing. Rows that copy the provider's objects have no constraints of ours: the provider is right."""

from saas.billing.models.adjustments import InvoiceAdjustment
from saas.billing.models.billing_details import BillingDetails
from saas.billing.models.catalogue import Interval, Plan, Price, PriceTerms, Product
from saas.billing.models.checkouts import Checkout
from saas.billing.models.customers import Customer, Owner, PaymentMethod, TeamOwner
from saas.billing.models.invoices import Invoice
from saas.billing.models.ledger import LedgerEntry
from saas.billing.models.local import LocalClock, LocalObject
from saas.billing.models.overrides import EntitlementOverride
from saas.billing.models.pending_changes import PendingChange
from saas.billing.models.price_moves import PriceMove, PriceMoveStep
from saas.billing.models.promotions import PromotionCode
from saas.billing.models.subscriptions import Subscription
from saas.billing.models.tax_ids import TaxId

__all__ = [
    "BillingDetails",
    "Checkout",
    "Customer",
    "EntitlementOverride",
    "Interval",
    "Invoice",
    "InvoiceAdjustment",
    "LedgerEntry",
    "LocalClock",
    "LocalObject",
    "Owner",
    "PaymentMethod",
    "PendingChange",
    "Plan",
    "Price",
    "PriceMove",
    "PriceMoveStep",
    "PriceTerms",
    "Product",
    "PromotionCode",
    "Subscription",
    "TaxId",
    "TeamOwner",
]
