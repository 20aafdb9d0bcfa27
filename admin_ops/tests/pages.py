"""Reading the pages of Django admin as a member of staff."""

import re
from typing import Any

from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person


def open_admin_site(client: ServiceClient, person: Person) -> ServiceClient:
    """Log ``person`` in by their session's cookie, and get the CSRF cookie."""
    client.cookies["saas_admin_session"] = person.cookie_key
    client.get("/admin/password/")
    return client


def confirm_form(client: ServiceClient, path: str, fields: dict[str, str]) -> Any:
    """Submit the form of a staff action after having been shown its effect."""
    shown = client.submit_form(path, {**fields, "preview": "1"}).content.decode()
    token = re.search(r'name="effect_token" value="([^"]*)"', shown)
    return client.submit_form(path, {**fields, "effect_token": token[1] if token else ""})
