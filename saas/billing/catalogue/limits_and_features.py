"""The limits and features that plans, overrides and entitlements may name: each is declared here, once.

To add one, add a line; a limit also has to be enforced and counted (``saas.teams.plan_limits``). Plans that do not name a limit
give its default. A key that is not declared is refused where a plan or an override is written (``check_limits``,
``check_features``); one that is stored all the same does no harm where it is read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop as _

SEATS = "seats"  # follows the quantity of a price that is sold per seat
LARGEST_LIMIT = 1_000_000


@dataclass(frozen=True)
class Limit:
    """How many of something an owner may have. ``default`` holds without a subscription, and for a plan that does not name
    the limit; ``None`` is unlimited. ``is_personal``: a person's, no team's.
    """

    key: str
    label: str
    default: int | None
    is_personal: bool = False


@dataclass(frozen=True)
class Feature:
    """Something that an owner has or has not."""

    key: str
    label: str


LIMITS: Sequence[Limit] = (
    Limit("teams", _("Teams"), default=1, is_personal=True),
    Limit(SEATS, _("Seats in a team"), default=3),
    Limit("api_keys", _("API keys of a team"), default=1),
)
FEATURES: Sequence[Feature] = (
    Feature("email-support", _("Email support")),
    Feature("priority-support", _("Priority support")),
    Feature("dedicated-support", _("Dedicated support")),
    # In no plan: nothing stands behind them yet. Plans and overrides of earlier versions name them.
    Feature("audit-log", _("Audit log")),
    Feature("sso", _("Single sign-on")),
)


def limit_keys(*, of_team: bool = False) -> list[str]:
    """Every declared limit, or those that a team has."""
    return [limit.key for limit in LIMITS if not (of_team and limit.is_personal)]


def feature_keys() -> list[str]:
    return [feature.key for feature in FEATURES]


def feature_label(key: str) -> str:
    """The label, for people; of a feature that is not declared its key in words."""
    declared = next((feature.label for feature in FEATURES if feature.key == key), "")
    return declared or re.sub(r"[-_]+", " ", key).capitalize()


def free_limits() -> dict[str, int | None]:
    """What an owner without a subscription may have."""
    return {limit.key: limit.default for limit in LIMITS}


def readable_limits(stored: object) -> dict[str, int | None]:
    """The stored limits whose values can be compared; any others count as not stored."""
    found = stored.items() if isinstance(stored, Mapping) else ()
    return {key: value for key, value in found if value is None or _is_count(value)}


def complete_limits(stored: object) -> dict[str, int | None]:
    """Every declared limit: as stored, else its default."""
    known = free_limits()
    return known | {key: value for key, value in readable_limits(stored).items() if key in known}


def check_limits(limits: Mapping[str, Any]) -> list[str]:
    """What is wrong with the limits of a plan, a sentence each."""
    known = free_limits()
    unknown = [f"There is no limit {key!r}. Declared are {', '.join(known)}." for key in limits if key not in known]
    wrong = [
        f"The limit {key!r} must be a whole number from 0 to {LARGEST_LIMIT}, or unlimited."
        for key, value in limits.items()
        if key in known and value is not None and not (_is_count(value) and value <= LARGEST_LIMIT)
    ]
    return unknown + wrong


def check_features(features: Sequence[Any]) -> list[str]:
    """What is wrong with the features of a plan, a sentence each."""
    known = feature_keys()
    unknown = [f"There is no feature {key!r}. Declared are {', '.join(known)}." for key in features if key not in known]
    twice = ["Each feature can be named once."] if len(set(map(str, features))) != len(features) else []
    return unknown + twice


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
