"""Making, editing and archiving plans. Prices are in ``prices``.

Each takes ``by``, the id of who does it (``system`` for a command), and leaves an audit event.
"""

import re
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from saas.audit.actions import record
from saas.billing.catalogue import limits_and_features
from saas.billing.catalogue.prices import lock_plan
from saas.billing.models import Plan
from saas.errors import DomainError, Invalid

LONGEST_TRIAL_DAYS = 730  # Stripe takes no more
EDITABLE = (
    "name",
    "description",
    "features",
    "limits",
    "is_active",
    "is_visible",
    "position",
    "trial_days",
    "trial_needs_card",
)
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class PlanExists(DomainError):
    code, title = "plan_exists", "There is a plan with this id already."  # 409


@transaction.atomic
def create_plan(plan_id: str, *, by: str, reason: str = "", **values: Any) -> Plan:
    """A plan without prices. ``values`` are of ``EDITABLE``. Raises ``PlanExists``, ``Invalid``."""
    if not _ID.fullmatch(plan_id):
        raise Invalid(errors={"id": ["Use up to 32 small letters, digits, hyphens and underscores."]})
    _require_valid({"name": "", **values})
    plan, is_new = Plan.objects.get_or_create(id=plan_id, defaults=values)
    if not is_new:
        raise PlanExists
    record("plan.created", actor=by, target=plan.pk, reason=reason, **values)
    return plan


@transaction.atomic
def edit_plan(plan_id: str, *, by: str, reason: str = "", **values: Any) -> dict[str, Any]:
    """Change ``values``, of ``EDITABLE``; returns what was there before, of what has changed.

    Who has bought the plan has the new limits and features at once. Raises ``NotFound``, ``Invalid``.
    """
    plan = lock_plan(plan_id)
    changed = {name: value for name, value in values.items() if getattr(plan, name, None) != value}
    _require_valid(changed)
    if not changed:
        return {}
    before = {name: getattr(plan, name) for name in changed}
    Plan.objects.filter(pk=plan.pk).update(**changed)
    record("plan.edited", actor=by, target=plan.pk, reason=reason, before=before, after=changed)
    return before


def archive_plan(plan_id: str, *, by: str, reason: str = "") -> None:
    """Sell the plan no longer. Who has bought it keeps it."""
    edit_plan(plan_id, by=by, reason=reason, is_active=False)


def unarchive_plan(plan_id: str, *, by: str, reason: str = "") -> None:
    edit_plan(plan_id, by=by, reason=reason, is_active=True)


def _require_valid(values: Mapping[str, Any]) -> None:
    if wrong := check_plan_values(values):
        raise Invalid(errors=wrong)


def check_plan_values(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with the values of a plan, by field."""
    found = {name: _check_value(name, value) for name, value in values.items()}
    return {name: sentences for name, sentences in found.items() if sentences}


def _check_value(name: str, value: Any) -> list[str]:
    match name:
        case "name" | "description":
            longest = 100 if name == "name" else 500
            is_right = (
                isinstance(value, str) and len(value) <= longest and (name == "description" or bool(value.strip()))
            )
            return [] if is_right else [f"Give a text of up to {longest} characters."]
        case "features":
            is_list = isinstance(value, list) and all(isinstance(key, str) for key in value)
            return limits_and_features.check_features(value) if is_list else ["Give a list of features."]
        case "limits":
            is_map = isinstance(value, dict)
            return limits_and_features.check_limits(value) if is_map else ["Give a number for each limit."]
        case "is_active" | "is_visible" | "trial_needs_card":
            return [] if isinstance(value, bool) else ["Say true or false."]
        case "position":
            return [] if _is_integer(value, -1_000_000, 1_000_000) else ["Give a whole number."]
        case "trial_days":
            is_right = value is None or _is_integer(value, 0, LONGEST_TRIAL_DAYS)
            return [] if is_right else [f"Give a number of days from 0 to {LONGEST_TRIAL_DAYS}."]
        case _:
            return [f"A plan has no {name!r}."]


def _is_integer(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
