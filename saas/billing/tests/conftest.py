"""What all tests of billing share."""

import pytest
import stripe


@pytest.fixture(autouse=True)
def _stripe_is_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's pause before it tries again: half a second at least."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0)
