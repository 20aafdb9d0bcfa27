"""Amounts and shares as the desk shows them."""


def units(cents: int) -> int | float:
    """Cents in whole units of the currency: 19, or 19.5."""
    whole, rest = divmod(cents, 100)
    return cents / 100 if rest else whole


def share(part: int, whole: int) -> float | None:
    """``part`` of ``whole``, to four places; ``None`` of nothing."""
    return round(part / whole, 4) if whole > 0 else None
