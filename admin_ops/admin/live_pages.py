"""Pages about a customer. They say what is wrong with a customer, show what they pay, and follow the
events that are being processed.

``static/admin_ops/refresh.js`` replaces their contents.
"""

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import F, QuerySet
from django.http import HttpRequest

from admin_ops.admin.permissions import request_permissions
from admin_ops.alarms import alarm_notices
from admin_ops.offers import with_offers
from admin_ops.timeline import TimelineEntry
from saas.billing import clock
from saas.billing.alarms import Alarm
from saas.billing.invoices.billed_to import address_lines, find_billing_details, tax_id_state
from saas.billing.models import Customer, EntitlementOverride, Invoice, Owner, Subscription, TaxId
from saas.webhook_events.models import WebhookEvent

REFRESH_MILLISECONDS = 1500
SHOWN = 8  # of each kind at the side; longer lists have pages of their own


def live_context(request: HttpRequest, alarms: Iterable[Alarm], customers: QuerySet[Customer]) -> dict[str, Any]:
    """``pending`` is how many events of the customers are being processed: the page follows until it is none."""
    provider_ids = customers.exclude(external_id="").values("external_id")
    pending = WebhookEvent.objects.filter(customer_id__in=provider_ids).in_progress().count()
    return {
        "notices": alarm_notices(alarms, request_permissions(request), back=request.get_full_path()),
        "pending": pending,
        "refresh": REFRESH_MILLISECONDS if pending else "",
    }


def money_context(request: HttpRequest, owner: Owner) -> dict[str, Any]:
    """What a user or team pays and was given, each row with the actions that suit it."""
    permissions, back = request_permissions(request), request.get_full_path()
    subscriptions = Subscription.objects.for_owner(owner).with_customer()
    ordered = subscriptions.order_by(F("ended_at").desc(nulls_first=True), "-pk")
    details = find_billing_details(owner)
    invoices = Invoice.objects.for_owner(owner).issued().order_by("-issued_at", "-pk").select_related("customer")
    return {
        "is_selling": True,
        "billed_to": details,
        "billed_address": address_lines(details.address, "en"),
        "tax_id_state": tax_id_state(details),
        "tax_ids": TaxId.objects.for_owner(owner).live().order_by("created_at"),
        "subscriptions": with_offers(ordered[:SHOWN], permissions, back=back),
        "invoices": with_offers(invoices[:SHOWN], permissions, back=back),
        "customers": with_offers(Customer.objects.for_owner(owner), permissions, back=back),
        "given": with_offers(EntitlementOverride.objects.for_owner(owner).live(clock.now()), permissions, back=back),
    }


def timeline_context(
    request: HttpRequest, timeline: list[TimelineEntry], kinds: Collection[tuple[str, str]]
) -> dict[str, Any]:
    """The entries of the kind that the address asks for."""
    here = request.GET.get("kind", "")
    return {"timeline": [entry for entry in timeline if here in ("", entry.kind)], "kinds": kinds, "here": here}
