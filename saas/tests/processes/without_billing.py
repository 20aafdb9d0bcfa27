"""Runs in a process of its own, with ``BILLING=off``: uses all four services, and prints what it saw as JSON.

``RUN`` is that process's code.
"""

import json
import sys
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.urls import get_resolver

from saas.celery import app
from saas.operations.app_discovery import active_apps
from saas.operations.invariants import registered_invariants
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import with_verified_email
from saas.testing.openapi import SERVICES
from saas.testing.service_settings import service_settings
from saas.webhook_events.dispatch import handlers_for, prefetches_for

RUN = "import django; django.setup(); from saas.tests.processes.without_billing import main; main()"
MONEY = ("billing", "checkout", "subscription", "invoice", "payment", "revenue", "overrides", "plan", "trial")
WITH_BILLING = {
    "product": [
        "/api/subscriptions/plans", "/api/subscriptions/checkout", "/api/subscriptions/current",
        "/api/subscriptions/change", "/api/subscriptions/cancel", "/api/subscriptions/resume",
        "/api/billing/payment-method", "/api/billing/payment-methods", "/api/billing/invoices",
        "/api/billing/entitlements", "/api/billing/portal", "/checkout/cs_1", "/billing", "/billing/success",
        "/billing/cancel", "/billing/portal/bps_1",
    ],
    "admin_ops": [
        "/api/admin/subscriptions", "/api/admin/subscriptions/sub_1/trial", "/api/admin/users/{user}/overrides",
        "/api/admin/teams/{team}/overrides", "/api/admin/overrides/ovr_1/end", "/api/admin/metrics/revenue",
        *(f"/admin/billing/{table}/" for table in (
            "plan", "customer", "subscription", "checkout", "invoice", "paymentmethod", "ledgerentry",
            "entitlementoverride",
        )),
        "/admin/accounts/user/{user}/do/give-plan/", "/admin/teams/team/{team}/do/give-plan/",
    ],
}  # fmt: skip
COMMANDS = ("billing_clock", "billing_rebuild", "billing_reconcile", "stripe_sync_plans")


def statuses(
    customer: user_factories.Person, staff_member: user_factories.Person, team: str
) -> dict[str, dict[str, list[int]]]:
    """Of every address about money, by GET and, at the APIs, POST."""
    admin_site = ServiceClient("admin_ops")
    admin_site.cookies[settings.STAFF_SESSION_COOKIE_NAME] = staff_member.cookie_key
    clients = {"product": (ServiceClient("product"), customer.token), "admin_ops": (admin_site, "")}
    found: dict[str, dict[str, list[int]]] = {}
    for service, addresses in WITH_BILLING.items():
        client, token = clients[service]
        for address in addresses:
            path = address.format(user=customer.user.pk, team=team)
            bearer = token or (staff_member.token if path.startswith("/api") else "")
            answers = [client.get(path, token=bearer)]
            if bearer:  # Django admin asks a POST for its CSRF token before it looks where it goes
                answers.append(client.post(path, {}, token=bearer))
            found.setdefault(service, {})[address] = [answer.status_code for answer in answers]
    return found


def life(customer: user_factories.Person) -> dict[str, Any]:
    """Accounts and teams work, within what is free."""
    product, invited = ServiceClient("product"), []
    team = product.post("/api/teams", {"name": "Rockets"}, token=customer.token)
    second = product.post("/api/teams", {"name": "Comets"}, token=customer.token)
    address = f"/api/teams/{team.json()['team']['id']}"
    for name in "abc":
        invited.append(
            product.post(
                f"{address}/invitations", {"email": f"{name}@example.net", "role": "member"}, token=customer.token
            )
        )
    export = product.get("/api/users/export", token=customer.token)
    return {
        "team": team.status_code,
        "second": [second.status_code, second.json().get("code")],
        "seats": [[answer.status_code, answer.json().get("code")] for answer in invited],
        "export": export.status_code,
        "id": team.json()["team"]["id"],
    }


def admin_site(customer: user_factories.Person, staff_member: user_factories.Person, team: str) -> dict[str, Any]:
    client = ServiceClient("admin_ops")
    client.cookies[settings.STAFF_SESSION_COOKIE_NAME] = staff_member.cookie_key
    pages = ["/admin/", f"/admin/accounts/user/{customer.user.pk}/change/", f"/admin/teams/team/{team}/change/"]
    shown = [client.get(page) for page in pages]
    calls = [f"/api/admin/users/{customer.user.pk}", "/api/admin/users?search=kim_1", "/api/admin/metrics/users"]
    return {
        "pages": [answer.status_code for answer in shown],
        "links": sorted({word for answer in shown for word in ("/admin/billing/",) if word in answer.content.decode()}),
        "words": [word for word in ("revenue", "Money", "Give a plan") if word in shown[0].content.decode()],
        "calls": [client.get(call, token=staff_member.token).status_code for call in calls],
        "health": client.get("/api/admin/health", token=staff_member.token).status_code,
    }


def documents() -> dict[str, list[str]]:
    """What of the schema, the modules and the metrics is about money."""
    found: dict[str, list[str]] = {}
    for service in SERVICES:
        client = ServiceClient(service)
        schema = client.get("/openapi.json").json()
        told = [*schema["paths"], *(tag["name"] for tag in schema.get("tags", []))]
        parameters = [p.get("name", "") for m in schema["paths"].values() for o in m.values() for p in o["parameters"]]
        modules = json.dumps(client.get("/api/health/modules").json())
        metrics = [line for line in client.get("/metrics").content.decode().splitlines() if not line.startswith("#")]
        words = [*told, *parameters, modules, *(line.partition("{")[0] for line in metrics)]
        found[service] = [text for text in words if any(word in text for word in MONEY)]
    return found


def routes() -> dict[str, list[str]]:
    found = {}
    for service in SERVICES:
        with service_settings(service):
            names = [str(name) for name in get_resolver(f"{service}.urls").reverse_dict if isinstance(name, str)]
        found[service] = [name for name in names if any(word in name for word in MONEY)]
    return found


def refusals() -> list[str]:
    said = []
    for name in COMMANDS:
        try:
            call_command(name)
        except CommandError as error:
            said.append(str(error))
    return said


def event(webhooks: ServiceClient) -> list[Any]:
    """Taken in as any other, and nobody acts on it."""
    from saas.testing.factories import event_factories

    data = {"object": {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active"}}
    body = {"id": "evt_1", "type": "customer.subscription.updated", "data": data}
    answer = webhooks.post("/api/webhooks/stripe", body)
    event_factories.drain()
    log = webhooks.get("/api/webhooks/logs/evt_1").json()
    return [answer.status_code, log["status"]]


def main() -> None:
    connection.creation.create_test_db(verbosity=0)
    import_module("product.urls")
    app.loader.import_default_modules()
    customer, staff_member = with_verified_email(user_factories.create_customer()), user_factories.create_staff_member()
    lived = life(customer)
    seen = {
        "life": lived,
        "statuses": statuses(customer, staff_member, lived["id"]),
        "admin_site": admin_site(customer, staff_member, lived["id"]),
        "documents": documents(),
        "routes": routes(),
        "commands": refusals(),
        "event": event(ServiceClient("webhooks")),
        "tasks": [name for name in app.tasks if "billing" in name],
        "schedule": [row["task"] for row in settings.CELERY_BEAT_SCHEDULE.values() if "billing" in row["task"]],
        "handlers": [
            str(one) for kind in ("customer.subscription.updated", "invoice.paid") for one in handlers_for(kind)
        ]
        + [str(one) for one in prefetches_for("customer.subscription.updated")],
        "invariants": [name for name in registered_invariants() if name.startswith("billing.")],
        "apps": [name for name in active_apps() if "billing" in name],
        "modules": sorted(name for name in sys.modules if name.startswith(("product.billing", "saas.billing.webhook"))),
    }
    sys.stdout.write(json.dumps(seen))
