"""The running system against a Stripe that is not ours: `localstripe`, which keeps customers, plans, subscriptions and
invoices, and sends signed webhooks. It has no Checkout: what that page would do, the test does with the SDK."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest
import stripe

from saas.testing.servers import localstripe
from saas.testing.servers.stack import Stack, eventually, running_stack

pytestmark = pytest.mark.long
KEY, SECRET = "sk_test_12345", "whsec_of_localstripe"
CARD = {"type": "card", "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2035, "cvc": "123"}}


@dataclass
class Peers:
    stack: Stack
    provider: Any  # the SDK's client
    headers: dict[str, str]

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.stack.post("product", path, json=body or {}, headers=self.headers)

    def current(self) -> dict[str, Any] | None:
        answer = self.stack.get("product", "/api/subscriptions/current", headers=self.headers)
        return answer.json()["subscription"]

    def status(self) -> str | None:
        return (self.current() or {}).get("status")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    try:
        python = localstripe.localstripe_python()
    except localstripe.NotInstalled as reason:
        pytest.skip(str(reason))
    with localstripe.running_localstripe(python) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIPE_SECRET_KEY", KEY)
        patch.setenv("STRIPE_API_BASE", address)
        patch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
        patch.setenv("STRIPE_PRICES", "starter:plan_starter,growth:plan_growth")
        patch.setenv("WEBHOOKS_ALLOW_UNSIGNED", "false")
        provider = stripe.StripeClient(KEY, base_addresses={"api": address}).v1
        with running_stack(tmp_path_factory.mktemp("localstripe")) as stack:
            yield _introduced(stack, provider, address)


def _introduced(stack: Stack, provider: Any, address: str) -> Peers:
    """The two know of each other, and a person has registered."""
    assert stack.manage("seed").returncode == 0
    hook = {"url": f"{stack.urls['webhooks']}/api/webhooks/stripe", "secret": SECRET}
    httpx.post(f"{address}/_config/webhooks/ours", json=hook, timeout=10, trust_env=False).raise_for_status()
    for name, cents in (("starter", 1900), ("growth", 7900)):
        plan: Any = {"id": f"plan_{name}", "amount": cents, "currency": "usd", "interval": "month"}
        provider.plans.create({**plan, "product": {"name": name}})
    body = {"email": "kim@example.org", "password": "correct horse battery staple"}
    token = stack.post("product", "/api/auth/register", json=body).json()["access_token"]
    return Peers(stack, provider, {"Authorization": f"Bearer {token}"})


def _not_known_there(customer_id: str) -> list[str]:
    """What a comparison says again and again: it does not know the discounts of subscriptions, lists payment methods by
    type only, and tax ids without pages. Customers and invoices it compares, and they do not differ."""
    return [
        f"subscription of {customer_id} could not be asked about: Bad expand 'discounts'",
        f"payment_method of {customer_id} could not be asked about: Bad request",
        f"tax_id of {customer_id} could not be asked about: Unexpected limit",
        "3 differences",
    ]


def test_a_subscription_runs_its_course_at_localstripe_and_here(peers: Peers) -> None:
    refused = peers.post("/api/subscriptions/checkout", {"plan_id": "starter"})
    assert (refused.status_code, refused.json()["code"]) == (503, "provider_unavailable")  # it has no Checkout
    (customer,) = peers.provider.customers.list().data
    assert customer.email == "kim@example.org"

    card = peers.provider.payment_methods.create(CARD)
    peers.provider.payment_methods.attach(card.id, {"customer": customer.id})
    peers.provider.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    peers.provider.subscriptions.create({"customer": customer.id, "items": [{"plan": "plan_starter"}]})
    eventually(lambda: peers.status() == "active")
    came = peers.stack.get("webhooks", "/api/webhooks/logs?type=customer.subscription.created").json()["items"]
    assert [event["status"] for event in came] == ["processed"]

    ending = peers.post("/api/subscriptions/cancel")  # without a reason, which it does not know
    assert ending.json()["subscription"]["cancel_at_period_end"] is True, ending.text
    staying = peers.post("/api/subscriptions/resume")
    assert staying.json()["subscription"]["cancel_at_period_end"] is False, staying.text

    invoices = peers.stack.get("product", "/api/billing/invoices", headers=peers.headers).json()["invoices"]
    assert [(row["total_cents"], row["status"]) for row in invoices] == [(1900, "paid")]
    peers.stack.manage("billing_reconcile")
    assert peers.stack.manage("billing_reconcile").stdout.splitlines() == _not_known_there(customer.id)
    (there,) = peers.provider.subscriptions.list({"customer": customer.id}).data  # compared here instead
    here = peers.current() or {}
    assert (here["status"], here["cancel_at_period_end"]) == (there.status, there.cancel_at_period_end)
    assert (here["plan"]["id"], there.plan.id) == ("starter", "plan_starter")
    assert datetime.fromisoformat(here["current_period_end"]).timestamp() == there.current_period_end

    ended = peers.post("/api/subscriptions/cancel", {"at_period_end": False})
    assert ended.json()["subscription"]["status"] == "canceled", ended.text
    eventually(lambda: peers.status() is None)
