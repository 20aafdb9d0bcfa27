"""What the webhook modules' own health checks find."""

import pytest

from saas.webhook_events import health
from saas.webhook_events.processing import retry_policy
from saas.webhook_events.signatures import Stale


def test_a_verification_that_accepts_a_forged_body_is_out_of_order(monkeypatch):
    monkeypatch.setattr(health, "verify", lambda header, body, **options: None)

    with pytest.raises(RuntimeError, match="a forged body was accepted"):
        health.SIGNATURES.check()


def test_a_verification_that_refuses_everything_is_out_of_order(monkeypatch):
    def refuse(header, body, **options):
        raise Stale

    monkeypatch.setattr(health, "verify", refuse)

    with pytest.raises(Stale):
        health.SIGNATURES.check()


def test_delays_that_do_not_grow_are_out_of_order(db, monkeypatch):
    health.PROCESSING.check()
    monkeypatch.setattr(retry_policy, "RETRY_DELAYS", retry_policy.RETRY_DELAYS[::-1])

    with pytest.raises(RuntimeError, match="does not grow"):
        health.PROCESSING.check()
