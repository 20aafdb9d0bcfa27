"""What an end or a smaller plan takes away, said before it is confirmed."""

from typing import Any

from saas.billing.catalogue import limits_and_features
from saas.billing.catalogue.usage import LimitUsage, limit_usage
from saas.billing.entitlements import Entitlements, bought_grant, get_entitlements
from saas.billing.models import Owner, Subscription
from saas.billing.subscriptions import ChangePreview


def lost_by_ending(owner: Owner, row: Subscription) -> list[dict[str, Any]]:
    return _lost(owner, get_entitlements(owner, without=row))


def lost_by_changing(owner: Owner, row: Subscription, preview: ChangePreview) -> list[dict[str, Any]]:
    grant = bought_grant(preview.plan, preview.quantity, until=None, is_per_seat=preview.price.is_per_unit)
    return _lost(owner, get_entitlements(owner, without=row, instead=grant))


def _lost(owner: Owner, after: Entitlements) -> list[dict[str, Any]]:
    """Limits that fall, with what is used of them where that is more, and features that go."""
    now = get_entitlements(owner)
    limits = [
        {
            "label": usage.label,
            "is_limit": True,
            "now": now.limits[usage.key],
            "after": usage.allowed,
            "used": usage.used if _is_too_much(usage) else None,
        }
        for usage in limit_usage(owner, after)
        if _falls(now.limits[usage.key], usage.allowed)
    ]
    gone = [key for key in now.features if key not in after.features]
    return [*limits, *({"label": limits_and_features.feature_label(key), "is_limit": False} for key in gone)]


def _falls(now: int | None, after: int | None) -> bool:
    return after is not None and (now is None or after < now)


def _is_too_much(usage: LimitUsage) -> bool:
    return usage.used is not None and usage.allowed is not None and usage.used > usage.allowed
