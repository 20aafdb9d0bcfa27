"""How much of each declared limit an owner uses. The module that enforces a limit declares its count here, so that both agree."""

from collections.abc import Callable
from dataclasses import dataclass

from saas.accounts.models import User
from saas.billing.catalogue import limits_and_features
from saas.billing.entitlements import Entitlements
from saas.billing.models import Owner

Counter = Callable[[Owner], int]

_counters: dict[str, Counter] = {}


@dataclass(frozen=True)
class LimitUsage:
    """``used`` is None where nothing declares how the limit is counted, ``allowed`` where there is no limit."""

    key: str
    label: str
    used: int | None
    allowed: int | None

    @property
    def is_reached(self) -> bool:
        return self.used is not None and self.allowed is not None and self.used >= self.allowed


def declare_usage(key: str, counter: Counter) -> None:
    """``counter`` gets a team, or a person: of a limit that teams have it then counts the fullest of those they own."""
    _counters[key] = counter


def limit_usage(owner: Owner, entitlements: Entitlements) -> list[LimitUsage]:
    """Every limit that the owner has, in the order in which they are declared."""
    of_team = not isinstance(owner, User)
    return [
        LimitUsage(
            limit.key,
            limit.label,
            _counters[limit.key](owner) if limit.key in _counters else None,
            entitlements.limits[limit.key],
        )
        for limit in limits_and_features.LIMITS
        if not (of_team and limit.is_personal)
    ]
