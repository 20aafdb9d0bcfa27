"""The limits of plans, for tests with exact values: added modules declare further limits, which have their defaults."""

from saas.billing.catalogue import limits_and_features

OURS = ("teams", "seats", "api_keys")


def added_limits() -> dict[str, int | None]:
    """The limits of added modules, with their defaults; empty without any."""
    return {key: default for key, default in limits_and_features.free_limits().items() if key not in OURS}


def with_added_limits(limits: dict[str, int | None]) -> dict[str, int | None]:
    """``limits``, and the defaults of those of added modules."""
    return limits | added_limits()
