"""Reading the pages of Django admin as a member of staff."""

from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person


def open_admin_site(client: ServiceClient, person: Person) -> ServiceClient:
    """Log ``person`` in by their session's cookie, and get the CSRF cookie."""
    client.cookies["saas_admin_session"] = person.cookie_key
    client.get("/admin/password/")
    return client
