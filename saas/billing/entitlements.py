"""What a user or a team may use: the best of the free plan, of subscriptions that give access, and of overrides."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.db.models import Q

from saas.accounts.models import User
from saas.billing import clock
from saas.billing.catalogue import limits_and_features
from saas.billing.models import EntitlementOverride, Owner, Plan, Subscription
from saas.billing.models.subscriptions import IS_PER_SEAT
from saas.errors import DomainError


class PlanLimitReached(DomainError):
    """Of an added module: a subclass has a code of its own. The sentence is the same for all, because it is translated."""

    code, title = "plan_limit", "The plan allows no more of these."  # 409


Source = Literal["free", "subscription", "comp", "override"]


@dataclass(frozen=True)
class Grant:
    """A source of ``limits`` and ``features``, until ``expires_at`` if that is known."""

    source: Source
    plan_id: str | None
    expires_at: datetime | None
    limits: dict[str, int | None]
    features: tuple[str, ...]


@dataclass(frozen=True)
class EntitlementDetail:
    """One limit or feature, and the grant that it comes from: the most generous one, and of equals the one that lasts longest.

    ``value`` is the limit; ``None`` for a feature and where there is no limit.
    """

    key: str
    value: int | None
    source: Source
    plan_id: str | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Entitlements:
    """``limits`` maps every declared limit (``catalogue.limits_and_features``) to a number, or to ``None`` for no limit."""

    limits: dict[str, int | None]
    features: list[str]
    limit_details: list[EntitlementDetail]
    feature_details: list[EntitlementDetail]


def get_entitlements(
    owner: Owner, *, without: Subscription | None = None, instead: Grant | None = None
) -> Entitlements:
    """``without`` leaves out that subscription, as if it were over; ``instead`` adds a grant in its place."""
    grants = [*get_grants(owner, without=without), *([instead] if instead else [])]
    features = sorted({feature for grant in grants for feature in grant.features})
    return Entitlements(
        limits={key: _limit_detail(key, grants).value for key in limits_and_features.limit_keys()},
        features=features,
        limit_details=[_limit_detail(key, grants) for key in limits_and_features.limit_keys()],
        feature_details=[
            _best_detail(feature, [(None, grant) for grant in grants if feature in grant.features])
            for feature in features
        ],
    )


def get_limit(owner: Owner, key: str) -> int | None:
    """How many of a declared limit, such as ``seats``, the owner may have; ``None`` for no limit, 0 of what is not declared."""
    return _limit_detail(key, get_grants(owner)).value


def has_feature(owner: Owner, feature: str) -> bool:
    """Whether a grant of the owner includes the feature."""
    return any(feature in grant.features for grant in get_grants(owner))


def get_grants(owner: Owner, *, without: Subscription | None = None) -> list[Grant]:
    """The grants of today. A team has those made to it, and those of its owner.

    Without ``BILLING`` only what is free.
    """
    free = Grant("free", None, None, limits_and_features.free_limits(), ())
    if not settings.BILLING:
        return [free]
    now = clock.now()
    bought = (
        Subscription.objects.live()
        .filter(_counting_for(owner, "customer__"))
        .select_related("plan", "customer")
        .annotate(is_per_seat=IS_PER_SEAT)
        .exclude(pk=without.pk if without else "")
    )
    overrides = EntitlementOverride.objects.live(now).filter(_counting_for(owner)).select_related("plan")
    return [
        free,
        *(
            bought_grant(row.plan, row.quantity, until=row.access_ends_at, is_per_seat=row.is_per_seat)  # type: ignore[attr-defined]  # an annotation
            for row in bought
            if row.grants_access(now)
        ),
        *map(_override_grant, overrides),
    ]


def _counting_for(owner: Owner, path: str = "") -> Q:
    if isinstance(owner, User):
        return Q(**{f"{path}user": owner})
    return Q(**{f"{path}team_id": owner.pk}) | Q(**{f"{path}user_id": owner.owner_id})


def bought_grant(plan: Plan | None, quantity: int, *, until: datetime | None, is_per_seat: bool) -> Grant:
    """The plan's grant. Sold per seat, it gives the seats that were bought; several of a plan that is not give as many."""
    grant = _plan_grant("subscription", plan, until)
    seats = grant.limits.get(limits_and_features.SEATS)
    if plan is None or (not is_per_seat and (seats is None or seats >= quantity)):
        return grant
    return replace(grant, limits=grant.limits | {limits_and_features.SEATS: quantity})


def _override_grant(override: EntitlementOverride) -> Grant:
    if override.kind == EntitlementOverride.Kind.PLAN:
        return _plan_grant("comp", override.plan, override.expires_at)
    is_limit = override.kind == EntitlementOverride.Kind.LIMIT
    limits = {override.key: override.value} if is_limit else {}
    features = () if is_limit else (override.key,)
    return Grant("override", None, override.expires_at, limits, features)


def _plan_grant(source: Source, plan: Plan | None, expires_at: datetime | None) -> Grant:
    """An unknown plan gives nothing."""
    if plan is None:
        return Grant(source, None, expires_at, {}, ())
    features = plan.features if isinstance(plan.features, list) else []
    return Grant(
        source, plan.pk, expires_at, limits_and_features.readable_limits(plan.limits), tuple(map(str, features))
    )


def _limit_detail(key: str, grants: list[Grant]) -> EntitlementDetail:
    """Of a limit that no grant names, nothing."""
    candidates = [(grant.limits[key], grant) for grant in grants if key in grant.limits]
    return _best_detail(key, candidates or [(0, grants[0])])


def _best_detail(key: str, candidates: list[tuple[int | None, Grant]]) -> EntitlementDetail:
    """Of the candidates, each with its value, the one with the greatest value; of equal ones the one that lasts longest."""

    def worth(candidate: tuple[int | None, Grant]) -> tuple[float, float]:
        value, grant = candidate
        lasts = math.inf if grant.expires_at is None else grant.expires_at.timestamp()
        return (math.inf if value is None else value, lasts)

    value, best = max(candidates, key=worth)
    return EntitlementDetail(key, value, best.source, best.plan_id, best.expires_at)
