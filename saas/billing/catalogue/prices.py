"""Prices and their versions.

A price is never changed: another version takes its place for new subscriptions, and who bought the old one keeps it.
"""

import logging

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from saas.audit.actions import record
from saas.billing import providers
from saas.billing.models import Customer, Interval, Plan, Price, PriceTerms
from saas.billing.providers import Gateway, ProviderUnavailable
from saas.errors import DomainError, Invalid, NotFound
from saas.webhook_events.models import WebhookEvent

logger = logging.getLogger(__name__)


def headline_terms(plan: Plan) -> PriceTerms | None:
    """The terms that the plan's own ``price_cents`` states."""
    if plan.price_cents is None:
        return None
    return PriceTerms(plan.currency, Interval.MONTH, plan.price_cents)


def change_price(plan_id: str, terms: PriceTerms, *, by: str, reason: str = "", external_id: str = "") -> Price:
    """Sell the plan at ``terms`` from now on, as a new version; the same terms again change nothing.

    ``external_id`` is the provider's id of a price that exists there; without it one is created. Raises ``NotFound`` for the
    plan, ``Invalid``, and what the provider raises: then the version stands, and its next buyer has it created.
    """
    return ensure_provider_price(commit_price(plan_id, terms, by=by, reason=reason, external_id=external_id))


@transaction.atomic
def commit_price(plan_id: str, terms: PriceTerms, *, by: str, reason: str = "", external_id: str = "") -> Price:
    """The part of ``change_price`` that the provider has no share in."""
    if wrong := terms.check():
        raise Invalid(errors=wrong)
    plan = lock_plan(plan_id)
    price, is_new = write_version(plan, providers.current_provider(), terms, external_id)
    if is_new:
        facts = {"price": price.pk, "version": price.version, **vars(terms)}
        record("price.changed", actor=by, target=plan.pk, reason=reason, **facts)
    write_headline(plan)
    return price


@transaction.atomic
def retire_price(price: Price, *, by: str, reason: str = "") -> None:
    """Sell the plan no longer for this interval and currency. Who has bought the price keeps it."""
    plan = lock_plan(price.plan_id or "")
    if _retire(Price.objects.filter(pk=price.pk, is_current=True)):
        record("price.retired", actor=by, target=plan.pk, reason=reason, price=price.pk)
    write_headline(plan)


def lock_plan(plan_id: str) -> Plan:
    """The plan, locked: its prices change one after the other. Raises ``NotFound``."""
    plan = Plan.objects.select_for_update().filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    return plan


def write_version(plan: Plan, provider: str, terms: PriceTerms, external_id: str = "") -> tuple[Price, bool]:
    """The current price with these terms, and whether it is a new version. The caller has locked the plan."""
    mine = Price.objects.filter(plan=plan, provider=provider, currency=terms.currency, interval=terms.interval)
    current = mine.filter(is_current=True).order_by("-version", "-pk").first()
    if current and PriceTerms.of(current) == terms and external_id in {"", current.external_id}:
        return current, False
    other = Price.objects.filter(external_id=external_id).first() if external_id else None
    if other and other.plan_id not in {None, plan.pk}:
        raise Invalid(errors={"external_id": [f"This is a price of the plan {other.plan_id}."]})
    version = (mine.order_by("-version").values_list("version", flat=True).first() or 0) + 1
    if provider == Customer.Provider.LOCAL and not external_id:
        external_id = f"price_local_{plan.pk}_{terms.currency}_{terms.interval}_{version}"
    _retire(mine.filter(is_current=True))
    values = {"provider": provider, "plan": plan, "is_current": True, "version": version, **vars(terms)}
    if other:
        Price.objects.filter(pk=other.pk).update(replaced_at=None, **values)
        other.refresh_from_db()
        return other, True
    return Price.objects.create(external_id=external_id or None, **values), True


def _retire(prices: QuerySet[Price]) -> int:
    return prices.update(is_current=False, replaced_at=timezone.now())


def write_headline(plan: Plan) -> None:
    """Repeat the current price by the month in ``BILLING_CURRENCY`` on the plan."""
    rows = Price.objects.selling(plan, providers.current_provider()).filter(unit_amount_cents__isnull=False)
    monthly = rows.filter(currency=settings.BILLING_CURRENCY, interval=Interval.MONTH).first()
    plan.price_cents = monthly.unit_amount_cents if monthly else None
    plan.currency = settings.BILLING_CURRENCY
    plan.save(update_fields=["price_cents", "currency"])


def set_current_price(plan: Plan, provider: str, price_id: str) -> None:
    """Make ``price_id``, which exists at the provider, the plan's price. What it costs is taken to be what the plan states,
    unless an event of the provider has said it. Earlier prices keep their plan."""
    others = Price.objects.filter(plan=plan, provider=provider, is_current=True, interval__in=["", Interval.MONTH])
    _retire(others.filter(currency__in=["", plan.currency]).exclude(external_id=price_id))
    values = {"provider": provider, "plan": plan, "is_current": True, "replaced_at": None}
    terms = {"unit_amount_cents": plan.price_cents, "currency": plan.currency, "interval": Interval.MONTH}
    Price.objects.update_or_create(external_id=price_id, defaults=values, create_defaults=values | terms)


def lock_plan_that_sells(external_id: str) -> Plan | None:
    """The plan that is sold by the provider's price, locked: before the price is written, as by all who change it."""
    price = Price.objects.filter(external_id=external_id, is_current=True, plan__isnull=False).first()
    return lock_plan(price.plan_id or "") if price else None


def is_told() -> Exists:
    """Whether the provider has said what a price costs."""
    return Exists(WebhookEvent.objects.filter(object_id=OuterRef("external_id"), type__startswith="price."))


def fetch_untold_prices() -> None:
    """Ask Stripe what prices cost whose ids were put in here, until it has said it once. What it answers is an event."""
    gateway = providers.current_gateway()
    if gateway.provider != Customer.Provider.STRIPE:
        return
    untold = Price.objects.current(gateway.provider).exclude(external_id=None).filter(~is_told()).order_by("pk")
    for external_id in untold.values_list("external_id", flat=True):
        try:
            gateway.fetch_object("price", external_id or "")
        except ProviderUnavailable:  # each further call would wait as long
            logger.warning("prices_not_fetched", extra={"price": external_id})
            return
        except DomainError as refusal:
            logger.warning("price_not_fetched", extra={"price": external_id, "reason": refusal.code})


def ensure_provider_price(price: Price) -> Price:
    """Create a price at the provider that it does not know yet. May be repeated; outside any transaction."""
    if price.external_id is None and price.plan is not None:
        external_id, _ = find_or_create_at_provider(price, price.plan, providers.current_gateway())
        Price.objects.filter(pk=price.pk, external_id=None).update(external_id=external_id)
        price.refresh_from_db()
    return price


def find_or_create_at_provider(price: Price, plan: Plan, gateway: Gateway) -> tuple[str, bool]:
    """The provider's id of the price, and whether it was created. One with the same terms that stands for another version, with
    buyers of its own, is not this one: the amount of earlier, or the same amount per seat."""
    terms = PriceTerms.of(price)
    external_id, is_new = gateway.ensure_price(plan, terms)
    if is_anothers(external_id, price):
        return gateway.ensure_price(plan, terms, version=price.version)
    return external_id, is_new


def is_anothers(external_id: str, price: Price) -> bool:
    return Price.objects.filter(external_id=external_id).exclude(pk=price.pk).exists()
