"""Send a customer's secrets through every endpoint that takes one, then search log lines, rows, messages and errors. (T68)"""

import logging
from typing import Any

import pytest
from celery.signals import before_task_publish
from django.apps import apps

from saas.accounts.models import LoginSession, User
from saas.accounts.passwords.password_reset_mails import mail_reset_link
from saas.mail.models import Mail
from saas.testing.factories.user_factories import PASSWORD
from saas.testing.mails import link_token
from saas.testing.secret_leak_detector import detect_leaks
from saas.tests.security.tenant_scenario import SENTINEL

CARD = "4242 4242 4242 4242"
WRONG = "Sentinel-wrong-password-1"
NEW = "Sentinel new password, long enough"
CODE = "sentinel-provider-code-123456"
KEPT_AS_SENT = {"WebhookPayload"}  # the exact bytes of what a provider sent


class Calls:
    """Post to Product, and keep the texts of all refusals."""

    def __init__(self, product: Any) -> None:
        self.product = product
        self.refusals: list[str] = []

    def post(self, path: str, body: Any, **options: Any) -> Any:
        answer = self.product.post(path, body, **options)
        if answer.status_code >= 400:
            self.refusals.append(answer.content.decode())
        return answer


@pytest.fixture
def published():
    """Collect every message to a worker, as text."""
    messages: list[str] = []

    def note(body: Any = None, headers: Any = None, **_: Any) -> None:
        messages.append(f"{body!r} {headers!r}")

    before_task_publish.connect(note, weak=False)
    yield messages
    before_task_publish.disconnect(note)


def send_secrets(product: Any, webhooks: Any, admin_ops: Any) -> tuple[dict[str, str], list[str]]:
    """Return the secrets that were sent or received, by name, and the texts of all refusals."""
    steps = Calls(product)
    registered = steps.post(
        "/api/auth/register", {"email": "ada@example.net", "password": PASSWORD, "full_name": SENTINEL}
    )
    token = registered.json()["access_token"]
    cookie = product.cookies["saas_session"].value
    steps.post("/api/auth/login", {"email": "ada@example.net", "password": WRONG})
    steps.post("/api/auth/login", {"email": "ada@example.net", "password": [WRONG]})
    verify = (
        link_token("verify_email") if Mail.objects.filter(template="verify_email").exists() else link_token("welcome")
    )
    steps.post("/api/auth/email/verify", {"token": verify + "x"})
    steps.post("/api/auth/password/forgot", {"email": "ada@example.net"})

    mail_reset_link(User.objects.get(email="ada@example.net"), by="system")
    reset = link_token("password_reset")
    steps.post("/api/auth/password/reset", {"token": reset + "x", "password": NEW})
    setup = steps.post("/api/auth/mfa/totp", {}, token=token).json()
    steps.post("/api/auth/mfa/totp/confirm", {"code": "654321"}, token=token)
    refreshed = steps.post("/api/auth/refresh", {"refresh_token": registered.json()["refresh_token"]}).json()
    steps.post("/api/auth/refresh", {"refresh_token": refreshed["refresh_token"] + "x"})
    steps.post("/api/auth/oauth/google/callback", {"state": "sentinel-state-123456", "code": CODE})
    for body in (
        {"type": CARD, "provider": "visa", "last4": "4242"},
        {"type": "card", "provider": CARD, "last4": CARD},
    ):
        steps.post("/api/billing/payment-method", body, token=token)
    steps.post("/api/subscriptions/checkout", {"plan_id": CARD}, token=token, headers={"Idempotency-Key": CARD})
    product.get(f"/api/nothing?token={reset}&password={WRONG}", headers={"Authorization": f"Bearer {token}x"})
    webhooks.send("POST", "/api/webhooks/stripe", raw=b"{}", headers={"Stripe-Signature": "t=1,v1=" + "5e" * 32})
    admin_ops.post("/api/admin/auth/login", {"email": "ada@example.net", "password": WRONG})
    secrets = {
        "the password": PASSWORD, "a wrong password": WRONG, "a new password": NEW, "the access token": token,
        "the refresh token": registered.json()["refresh_token"], "the next one": refreshed["refresh_token"],
        "the cookie": cookie, "a verification link": verify, "a reset link": reset, "the second factor": setup["secret"],
        "a provider's code": CODE, "a card": CARD, "the card's digits": CARD.replace(" ", ""),
    }  # fmt: skip
    return secrets, steps.refusals


def stored_rows() -> dict[str, str]:
    """Return every row of every table as text, by the model's name."""
    return {
        model.__name__: "\n".join(str(row) for row in model._default_manager.values())
        for model in apps.get_models()
        if model.__name__ not in KEPT_AS_SENT
    }


@pytest.mark.django_db(transaction=True)
def test_no_secret_is_in_a_log_line_a_row_a_message_or_a_refusal(
    product, webhooks, admin_ops, published, caplog
) -> None:
    caplog.set_level(logging.DEBUG)
    with detect_leaks({}) as detector:
        lines: list[str] = []
        detector.emit = lambda record: lines.append(detector.format(record))  # type: ignore[method-assign]

        secrets, refusals = send_secrets(product, webhooks, admin_ops)

    rows = stored_rows()
    assert LoginSession.objects.exists()
    assert all([lines, published, refusals])
    written = {
        "log line": lines,
        "message": published,
        "refusal": refusals,
        **{name: [text] for name, text in rows.items()},
    }
    leaks = [
        f"{name} is in a {place}"
        for name, secret in secrets.items()
        for place, texts in written.items()
        if any(secret in text for text in texts)
    ]
    assert leaks == []
