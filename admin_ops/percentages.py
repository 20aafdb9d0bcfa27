"""Shares as the desk shows them."""


def share(part: int, whole: int) -> float | None:
    """``part`` of ``whole``, to four places; ``None`` of nothing."""
    return round(part / whole, 4) if whole > 0 else None
