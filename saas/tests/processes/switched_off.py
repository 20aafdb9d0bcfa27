"""Runs in a process of its own, with switches of ``saas.settings.environment`` off, and prints what it saw as JSON.

``RUN`` is that process's code.
"""

import json
import sys
from typing import Any

from django.conf import settings
from django.db import connection

from saas.testing.clients import ServiceClient
from saas.testing.factories import team_factories, user_factories

RUN = "import django; django.setup(); from saas.tests.processes.switched_off import main; main()"
REGISTRATION = {"product": ["/api/auth/register", "/register"], "parity": ["/auth/register", "/api/auth/register"]}
INVITED = {"product": ["/api/invitations/register"]}
TEAMS = {
    "product": [
        "/api/teams", "/api/teams/{team}", "/api/teams/{team}/leave", "/api/teams/{team}/transfer",
        "/api/teams/{team}/members", "/api/teams/{team}/members/usr_1", "/api/teams/{team}/invitations",
        "/api/teams/{team}/invitations/inv_1", "/api/teams/{team}/invitations/inv_1/resend", "/api/invitations/accept",
        "/api/invitations/register", "/invitations/accept", "/teams", "/teams/{team}", "/teams/{team}/settings",
    ],
    "admin_ops": [
        "/api/admin/teams/{team}/overrides", "/api/admin/teams/{team}/metadata", "/admin/teams/team/",
        "/admin/teams/team/{team}/change/",
    ],
}  # fmt: skip
API_KEYS = {
    "product": ["/api/teams/{team}/api-keys", "/api/teams/{team}/api-keys/key_1", "/teams/{team}/api-keys"],
    "admin_ops": ["/admin/teams/apikey/"],
}
OAUTH = {
    "product": [
        "/api/auth/oauth", "/api/auth/oauth/google", "/api/auth/oauth/google/callback", "/api/auth/oauth/google/link",
        "/api/auth/identities", "/api/auth/identities/google", "/login/with/google", "/login/return",
        "/account/providers/google",
    ],
    "admin_ops": ["/admin/accounts/oauthidentity/"],
}  # fmt: skip
SWITCHES = {"REGISTRATION": REGISTRATION, "INVITED": INVITED, "TEAMS": TEAMS, "API_KEYS": API_KEYS, "OAUTH": OAUTH}


def main() -> None:
    connection.creation.create_test_db(verbosity=0)
    customer, staff_member = user_factories.create_customer(), user_factories.create_staff_member()
    team = team_factories.create_team(team_factories.with_verified_email(customer))
    seen = {
        "answers": {
            switch: {
                f"{service} {path}": _statuses(service, path.format(team=team.pk), customer, staff_member)
                for service, paths in services.items()
                for path in paths
            }
            for switch, services in SWITCHES.items()
        },
        "schema": {service: _schema(service) for service in ("product", "admin_ops", *_parity())},
        "modules": [row["module"] for row in ServiceClient("product").get("/api/health/modules").json()["modules"]],
        "admin_site": _admin_site(customer, staff_member),
        "me": ServiceClient("product").get("/api/auth/me", token=customer.token).status_code,
        "export": ServiceClient("product").get("/api/users/export", token=customer.token).status_code,
        "pages": _pages(customer),
        "services": sorted(settings.SERVICE_BASE_URLS),
        "ports": settings.SERVICE_PORTS,
    }
    sys.stdout.write(json.dumps(seen))


def _pages(customer: user_factories.Person) -> dict[str, bool]:
    """Whether what a customer sees links to registration, teams and providers."""
    stranger, person = ServiceClient("product"), ServiceClient("product")
    person.cookies[settings.CUSTOMER_SESSION_COOKIE_NAME] = customer.cookie_key
    addresses = ((stranger, "/"), (stranger, "/login"), (person, "/account"), (person, "/account/security"))
    answers = [client.get(address, headers={"Accept": "text/html"}) for client, address in addresses]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    text = "".join(answer.content.decode() for answer in answers)
    return {word: f'href="/{word}' in text for word in ("register", "teams", "login/with")}


def _parity() -> list[str]:
    return ["parity"] if settings.PARITY else []


def _statuses(
    service: str, path: str, customer: user_factories.Person, staff_member: user_factories.Person
) -> list[int]:
    """By GET and POST. A page of Django admin is only looked at: it asks a POST for its CSRF token before anything else."""
    client = ServiceClient(service)
    if path.startswith("/admin/"):
        client.cookies[settings.STAFF_SESSION_COOKIE_NAME] = staff_member.cookie_key
        return [client.get(path).status_code]
    token = staff_member.token if service == "admin_ops" else customer.token
    return [client.get(path, token=token).status_code, client.post(path, {}, token=token).status_code]


def _schema(service: str) -> dict[str, Any]:
    document = ServiceClient(service).get("/openapi.json").json()
    return {"paths": sorted(document["paths"]), "security": sorted(document["components"].get("securitySchemes", {}))}


def _admin_site(customer: user_factories.Person, staff_member: user_factories.Person) -> dict[str, Any]:
    client = ServiceClient("admin_ops")
    client.cookies[settings.STAFF_SESSION_COOKIE_NAME] = staff_member.cookie_key
    pages = [client.get(page) for page in ("/admin/", f"/admin/accounts/user/{customer.user.pk}/change/")]
    text = "".join(page.content.decode() for page in pages)
    return {"pages": [page.status_code for page in pages], "teams": "/admin/teams/" in text or "<h2>Teams" in text}
