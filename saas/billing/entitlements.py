"""What a person or a team may use: the best of what is free, what was bought and gives access, and what staff gave."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.db.models import Q

from saas.accounts.models import User
from saas.billing import clock
from saas.billing.models import EntitlementOverride, Owner, Plan, Subscription

FREE_LIMITS: dict[str, int | None] = {"teams": 1, "seats": 3, "api_keys": 1}

Source = Literal["free", "subscription", "comp", "override"]


@dataclass(frozen=True)
class Grant:
    """Something that gives ``limits`` and ``features``, until ``expires_at`` as far as is known today."""

    source: Source
    plan_id: str | None
    expires_at: datetime | None
    limits: dict[str, int | None]
    features: tuple[str, ...]


@dataclass(frozen=True)
class EntitlementDetail:
    """Where one limit or feature comes from: of what gives the most, what lasts longest. ``value`` is a limit's."""

    key: str
    value: int | None
    source: Source
    plan_id: str | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Entitlements:
    """``limits`` maps ``teams``, ``seats`` and ``api_keys`` to a number, or to ``None`` for no limit."""

    limits: dict[str, int | None]
    features: list[str]
    limit_details: list[EntitlementDetail]
    feature_details: list[EntitlementDetail]


def get_entitlements(owner: Owner) -> Entitlements:
    """Everything at once, for the queries of one."""
    grants = get_grants(owner)
    features = sorted({feature for grant in grants for feature in grant.features})
    return Entitlements(
        limits={key: _best(key, grants) for key in FREE_LIMITS},
        features=features,
        limit_details=[_limit_detail(key, grants) for key in FREE_LIMITS],
        feature_details=[_feature_detail(feature, grants) for feature in features],
    )


def get_limit(owner: Owner, key: str) -> int | None:
    """How many ``teams``, ``seats`` or ``api_keys`` the owner may have; ``None`` for no limit."""
    return _best(key, get_grants(owner))


def has_feature(owner: Owner, feature: str) -> bool:
    """Whether something that the owner has includes the feature."""
    return any(feature in grant.features for grant in get_grants(owner))


def get_grants(owner: Owner) -> list[Grant]:
    """All that counts now. A team has what was bought for it or given to it, and what its owner has for herself.

    Where nothing is sold everybody has what is free.
    """
    free = Grant("free", None, None, FREE_LIMITS, ())
    if not settings.BILLING:
        return [free]
    now = clock.now()
    bought = Subscription.objects.granting(now).filter(_counting_for(owner, "customer__")).select_related("plan")
    given = EntitlementOverride.objects.live(now).filter(_counting_for(owner)).select_related("plan")
    return [free, *map(_bought, bought), *map(_given, given)]


def _counting_for(owner: Owner, path: str = "") -> Q:
    if isinstance(owner, User):
        return Q(**{f"{path}user": owner})
    return Q(**{f"{path}team_id": owner.pk}) | Q(**{f"{path}user_id": owner.owner_id})


def _bought(row: Subscription) -> Grant:
    return _of_plan("subscription", row.plan, row.access_ends_at)


def _given(override: EntitlementOverride) -> Grant:
    if override.kind == EntitlementOverride.Kind.PLAN:
        return _of_plan("comp", override.plan, override.expires_at)
    is_limit = override.kind == EntitlementOverride.Kind.LIMIT
    limits = {override.key: override.value} if is_limit else {}
    features = () if is_limit else (override.key,)
    return Grant("override", None, override.expires_at, limits, features)


def _of_plan(source: Source, plan: Plan | None, expires_at: datetime | None) -> Grant:
    """A plan that we do not know gives nothing."""
    if plan is None:
        return Grant(source, None, expires_at, {}, ())
    return Grant(source, plan.pk, expires_at, plan.limits, tuple(plan.features))


def _best(key: str, grants: list[Grant]) -> int | None:
    return _limit_detail(key, grants).value


def _limit_detail(key: str, grants: list[Grant]) -> EntitlementDetail:
    best = max((grant for grant in grants if key in grant.limits), key=lambda grant: _worth(grant.limits[key], grant))
    return EntitlementDetail(key, best.limits[key], best.source, best.plan_id, best.expires_at)


def _feature_detail(feature: str, grants: list[Grant]) -> EntitlementDetail:
    best = max((grant for grant in grants if feature in grant.features), key=lambda grant: _worth(0, grant))
    return EntitlementDetail(feature, None, best.source, best.plan_id, best.expires_at)


def _worth(value: int | None, grant: Grant) -> tuple[float, float]:
    """More before less; of the same, what lasts longer."""
    lasts = math.inf if grant.expires_at is None else grant.expires_at.timestamp()
    return (math.inf if value is None else value, lasts)
