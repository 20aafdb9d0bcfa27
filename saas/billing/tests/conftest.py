"""What all tests of billing share."""

import pytest
import stripe


@pytest.fixture(autouse=True)
def _stripe_is_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the SDK waits half a second at least before it tries again."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0)
