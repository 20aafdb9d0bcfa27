"""What staff give in addition to what was bought: a plan (a comp), a limit, a feature. Each has a reason and an end.

For Admin ops, with ``owner`` a ``User`` or a ``Team``, ``by`` the member of staff, ``expires_at`` by billing's clock:

    comp_plan(owner, plan_id="growth", expires_at=…, reason="…", by=sam)        -> EntitlementOverride
    override_limit(owner, key="seats", value=50, expires_at=…, reason="…", by=sam)
    grant_feature(owner, feature="sso", expires_at=…, reason="…", by=sam)
    end_override(override_id, reason="…", by=sam)
    EntitlementOverride.objects.for_owner(owner), .live(clock.now())                   what there is, and what counts

They only add: the best of what was bought and given counts. The caller checks who may do this.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from saas.accounts.models import User
from saas.audit.actions import record, require_reason
from saas.billing import clock
from saas.billing.catalogue import limits_and_features
from saas.billing.models import EntitlementOverride, Owner, Plan
from saas.errors import DomainError, Invalid, NotFound

LONGEST_OVERRIDE = timedelta(days=3 * 365)


class OverrideEnded(DomainError):
    code, title = "override_ended", "This has ended already."  # 409


def comp_plan(owner: Owner, *, plan_id: str, expires_at: datetime, reason: str, by: User) -> EntitlementOverride:
    """Give all that a plan gives. Raises ``NotFound`` for an unknown plan, ``Invalid``."""
    plan = Plan.objects.filter(pk=plan_id).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    return _save_override(owner, EntitlementOverride(kind="plan", plan=plan), expires_at, reason, by)


def override_limit(
    owner: Owner, *, key: str, value: int | None, expires_at: datetime, reason: str, by: User
) -> EntitlementOverride:
    """Give a declared limit; ``None`` is no limit. Raises ``Invalid``."""
    known = limits_and_features.limit_keys(of_team=not isinstance(owner, User))
    if key not in known:
        raise Invalid(errors={"key": [f"Choose one of {', '.join(known)}."]})
    if value is not None and not 0 <= value <= limits_and_features.LARGEST_LIMIT:
        raise Invalid(errors={"value": [f"Choose a number from 0 to {limits_and_features.LARGEST_LIMIT}, or none."]})
    return _save_override(owner, EntitlementOverride(kind="limit", key=key, value=value), expires_at, reason, by)


def grant_feature(owner: Owner, *, feature: str, expires_at: datetime, reason: str, by: User) -> EntitlementOverride:
    """Give a declared feature. Raises ``Invalid``."""
    known = sorted(limits_and_features.feature_keys())
    if feature not in known:
        raise Invalid(errors={"feature": [f"Choose one of {', '.join(known)}."]})
    return _save_override(owner, EntitlementOverride(kind="feature", key=feature), expires_at, reason, by)


def require_possible_end(expires_at: datetime) -> None:
    """Raises ``Invalid``."""
    now = clock.now()
    if not now < expires_at <= now + LONGEST_OVERRIDE:
        raise Invalid(errors={"expires_at": ["Choose a time within the next three years."]})


@transaction.atomic
def _save_override(
    owner: Owner, override: EntitlementOverride, expires_at: datetime, reason: str, by: User
) -> EntitlementOverride:
    require_possible_end(expires_at)
    if isinstance(owner, User):
        override.user = owner
    else:
        override.team_id = owner.pk
    override.expires_at, override.reason, override.created_by = expires_at, require_reason(reason), by
    override.save(force_insert=True)
    record("entitlement.given", actor=by.pk, target=owner.pk, reason=override.reason, **_facts(override))
    return override


@transaction.atomic
def end_override(override_id: str, *, reason: str, by: User) -> EntitlementOverride:
    """End the override now. Raises ``NotFound``, ``OverrideEnded``, ``Invalid``."""
    override = EntitlementOverride.objects.filter(pk=override_id).first()
    if override is None:
        raise NotFound("There is no such override.")
    now, why = clock.now(), require_reason(reason)
    if not EntitlementOverride.objects.live(now).filter(pk=override.pk).update(ended_at=now):
        raise OverrideEnded
    override.ended_at = now
    target = override.user_id or override.team_id or ""
    record("entitlement.ended", actor=by.pk, target=target, reason=why, **_facts(override))
    return override


def _facts(override: EntitlementOverride) -> dict[str, Any]:
    return {
        "override": override.pk,
        "kind": override.kind,
        "plan": override.plan_id,
        "key": override.key,
        "value": override.value,
        "expires_at": override.expires_at.isoformat(),
    }
