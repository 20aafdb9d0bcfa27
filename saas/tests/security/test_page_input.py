"""Malformed forms and queries never crash a page, for anyone (T97). The pages come from the routes themselves."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib.admin.utils import quote
from django.db import transaction
from django.urls import URLPattern, URLResolver

from admin_ops.urls import urlpatterns as admin_ops_urls
from product.urls import urlpatterns as product_urls
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import Person
from saas.tests.security import tenant_scenario

pytestmark = pytest.mark.django_db

_NO_PAGE = re.compile(r"api/|\.well-known/|health|metrics|openapi|static/")
LOGIN = {"product": "/login", "admin_ops": "/admin/login/"}
COOKIE = {"product": "saas_session", "admin_ops": "saas_admin_session"}
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
VALUES = {
    "nothing": {},
    "NUL": "\x00",
    "long, and no ASCII": "é" + "x" * 1200,
    "markup": "'\"><svg onload=alert(1)>",
    "a huge number": "9" * 40,
    "a wrong date": "2026-02-31",
}
NAMES = (
    "email", "password", "new_password", "current_password", "full_name", "display_name", "token", "code",
    "recovery_code", "next", "form_key", "answer", "name", "role", "scope", "plan_id", "plan", "interval", "seats",
    "price_id", "reason", "minutes", "effect_token", "preview", "action", "_selected_action", "q", "o", "p", "limit",
    "cursor", "since", "until", "before", "after", "use", "error", "emails", "user_id", "months", "currency", "amount",
    "provider", "card", "type", "last4", "timezone", "locale", "social_links", "status", "expires_in_days", "confirm",
)  # fmt: skip


def _routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, prefix + str(one.pattern))
        elif isinstance(one, URLPattern) and not _NO_PAGE.match(prefix + str(one.pattern)):
            yield prefix + str(one.pattern)


PRODUCT, ADMIN_OPS = sorted(set(_routes(product_urls))), sorted(set(_routes(admin_ops_urls)))
PAGES = [
    *(("product", route, "anyone") for route in PRODUCT),
    *(("product", route, "who is logged in") for route in PRODUCT),
    *(("admin_ops", route, "who is logged in") for route in ADMIN_OPS if "(" not in route),
]


@pytest.mark.parametrize(("service", "route", "visitor"), PAGES)
def test_no_malformed_form_or_query_crashes_a_page(
    scenario: tenant_scenario.Scenario, staff_member: Person, service: str, route: str, visitor: str
) -> None:
    client = ServiceClient(service)
    client.get(LOGIN[service])
    if visitor == "who is logged in":
        client.cookies.load({COOKIE[service]: (scenario.owner if service == "product" else staff_member).cookie_key})
    path = _path(route, scenario)

    answers = {label: _try(client, path, _sent(value)) for label, value in VALUES.items()}

    assert {label: found for label, found in answers.items() if max(found) >= 500} == {}


def _path(route: str, scenario: tenant_scenario.Scenario) -> str:
    places = {**scenario.ids, **_object_of_a_table(route)}
    return "/" + _PLACE.sub(lambda found: places.get(found[1], "nothing"), route)


def _object_of_a_table(route: str) -> dict[str, str]:
    """An object that a page of Django admin can show."""
    _, app, model, *_ = [*route.split("/"), "", ""]
    try:
        table = apps.get_model(app, model)
    except LookupError:
        return {}
    first = table._base_manager.order_by("pk").values_list("pk", flat=True).first()
    return {} if first is None else {"object_id": quote(str(first))}


def _sent(value: Any) -> dict[str, str]:
    return value if isinstance(value, dict) else dict.fromkeys(NAMES, value)


def _try(client: ServiceClient, path: str, sent: dict[str, str]) -> tuple[int, int]:
    """The statuses of the values as a query and as a form. What they did is undone."""
    token = client.cookies[f"{client.service}_csrf"].value
    encoded = urlencode(sent)
    form = f"csrfmiddlewaretoken={token}&{encoded}"
    with transaction.atomic():
        read = client.generic("GET", path, QUERY_STRING=encoded).status_code
        written = client.generic("POST", path, form, content_type="application/x-www-form-urlencoded").status_code
        transaction.set_rollback(True)
    return read, written
