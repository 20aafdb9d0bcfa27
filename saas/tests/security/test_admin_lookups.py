"""No URL of Django admin and no query of the staff API answers a question about a secret column. (T86)

A client that may filter by any column can ask "does it begin with a?", and spell out a password's hash letter by letter.
"""

import html
import re
from collections.abc import Callable, Iterator
from copy import copy
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db import models
from django.db.models import ForeignObjectRel
from django.http import QueryDict
from django.test import RequestFactory

from admin_ops.admin import admin_site
from admin_ops.admin.base import ReadOnlyModelAdmin
from saas.accounts.models import LoginSession, OAuthState, PendingLogin, RecoveryCode, Totp
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.openapi import Operation, operations
from saas.tests.security.tenant_scenario import Scenario

pytestmark = pytest.mark.django_db

SECRET = re.compile(r"password|hash|session_key|session_data|sealed|secret|^key$|_url$|^url$|idempotency|^context$")
NOT_SECRET = re.compile(r"^body_")  # of an event: describes the payload, no credential
OPERATORS = [
    "",
    *(f"__{name}" for name in ["startswith", "istartswith", "contains", "regex", "gt", "lt", "in", "isnull", "exact"]),
]
MAX_DEPTH = 4
TABLES = [pytest.param(table, id=model.__name__) for model, table in admin_site._registry.items()]

Model = type[models.Model]


def secret_columns(model: Model) -> list[str]:
    names = [field.name for field in model._meta.concrete_fields]
    return [name for name in names if SECRET.search(name) and not NOT_SECRET.search(name)]


def relations(model: Model) -> Iterator[tuple[str, Model]]:
    for field in model._meta.get_fields():
        if field.is_relation and not (isinstance(field, ForeignObjectRel) and field.hidden):
            yield field.name, field.related_model


def paths(model: Model, so_far: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Model]]:
    """Yield every path from a table to others, along its relations and back."""
    yield so_far, model
    if len(so_far) < MAX_DEPTH:
        for name, related in relations(model):
            yield from paths(related, (*so_far, name))


def secret_lookups(model: Model) -> list[str]:
    """Return every lookup that reaches a secret column, without its operator."""
    return ["__".join((*path, column)) for path, target in paths(model) for column in secret_columns(target)]


def shortest_lookups(model: Model) -> dict[str, str]:
    """Return, for each secret column and each relation of the table, the shortest lookup that starts with the relation:
    ``model.column`` by lookup."""
    found: dict[tuple[str, str], str] = {}
    for path, target in sorted(paths(model), key=lambda pair: len(pair[0])):
        for column in secret_columns(target):
            found.setdefault(("".join(path[:1]), f"{target.__name__}.{column}"), "__".join((*path, column)))
    return {question: name for (_, name), question in found.items()}


@pytest.fixture(scope="module")
def secrets(scenario: Scenario) -> dict[str, str]:
    """One stored value of every secret column, by ``model.column``."""
    user = scenario.owner.user
    Totp.objects.create(user=user, sealed_secret="sealed-totp-of-the-owner", confirmed_at=user.created_at)
    RecoveryCode.objects.create(user=user, code_hash="5ec4e7" * 10)
    session = LoginSession.objects.filter(user=user).first()
    PendingLogin.objects.create(
        token_hash="9e4d1a" * 10, user=user, audience="saas", epoch=0, methods="pwd", expires_at=user.created_at
    )
    OAuthState.objects.create(
        state_hash="57a7e5" * 10, browser_hash="b40c5e" * 10, provider="p", session=session, expires_at=user.created_at
    )
    found = {}
    for model in apps.get_models():
        for column in secret_columns(model):
            values = model._default_manager.exclude(**{column: None}).values_list(column, flat=True)[:50]
            if value := next((str(value) for value in values if len(str(value)) > 10), ""):
                found[f"{model.__name__}.{column}"] = value
    return found


@pytest.fixture(scope="module")
def client(scenario: Scenario) -> ServiceClient:
    client = ServiceClient("admin_ops")
    client.cookies["saas_admin_session"] = user_factories.create_staff_member().cookie_key
    return client


@pytest.fixture(scope="module")
def list_of(client: ServiceClient) -> Callable[[ReadOnlyModelAdmin, str], ChangeList]:
    """Make what a table's page lists for a query, without the page: rendering one takes longer than all else."""
    request = client.get("/admin/").wsgi_request

    def make(table: ReadOnlyModelAdmin, query: str) -> ChangeList:
        asked = copy(request)
        asked.GET = QueryDict(query)
        return table.get_changelist_instance(asked)

    return make


def address_of(table: ReadOnlyModelAdmin) -> str:
    return f"/admin/{table.opts.app_label}/{table.opts.model_name}/"


def test_every_secret_column_has_a_sample_value(secrets: dict[str, str]) -> None:
    """Guard the other tests against asking about nothing."""
    assert {
        "User.password", "LoginSession.session_key", "RefreshToken.token_hash", "Totp.sealed_secret", "ApiKey.key_hash",
        "RecoveryCode.code_hash", "Invitation.token_hash", "OneTimeToken.token_hash", "PendingLogin.token_hash",
        "OAuthState.state_hash", "OAuthState.browser_hash", "Mail.sealed", "Mail.context",
    } <= secrets.keys()  # fmt: skip
    assert "plan__subscriptions__customer__user__password" in secret_lookups(apps.get_model("billing", "Checkout"))


@pytest.mark.parametrize("method", ["lookup_allowed", "to_field_allowed"])
@pytest.mark.parametrize("table", TABLES)
def test_every_admin_table_uses_the_common_base(table: Any, method: str) -> None:
    assert isinstance(table, ReadOnlyModelAdmin)
    assert getattr(type(table), method) is getattr(ReadOnlyModelAdmin, method)


@pytest.mark.parametrize("table", TABLES)
def test_no_lookup_of_any_relation_reaches_a_secret_column(table: Any) -> None:
    asked = [f"{question}{operator}" for question, operator in product(secret_lookups(table.model), OPERATORS)]

    assert [lookup for lookup in asked if table.lookup_allowed(lookup, "x", None)] == []


@pytest.mark.parametrize("table", TABLES)
def test_a_right_guess_and_a_wrong_one_are_answered_alike(
    table: Any, client: ServiceClient, list_of: Any, secrets: Any
) -> None:
    guesses = [
        f"{question}__startswith={guess}"
        for question, name in shortest_lookups(table.model).items()
        for guess in (secrets.get(name, "none of them")[:6], "wrong!")
    ]

    assert [guess for guess in guesses if not is_refused(list_of, table, guess)] == []
    assert {client.get(f"{address_of(table)}?{guess}").status_code for guess in guesses[:2]} <= {400}


def is_refused(list_of: Any, table: Any, query: str) -> bool:
    """The page answers 400 to it, as to everything that is suspicious."""
    try:
        list_of(table, query)
    except DisallowedModelAdminLookup:
        return True
    return False


@pytest.mark.parametrize("table", TABLES)
def test_every_filter_that_a_page_offers_works(table: Any, client: ServiceClient) -> None:
    page = client.get(address_of(table))
    offered = {html.unescape(link) for link in re.findall(r'href="(\?[^"]+)"', page.content.decode())}

    filtered = [link for link in offered if not link.startswith(f"?{ORDER_VAR}=") and link != "?"]
    assert {link: client.get(address_of(table) + link).status_code for link in filtered} == dict.fromkeys(filtered, 200)
    assert not [name for name in table.list_filter if SECRET.search(str(name))]
    assert table.date_hierarchy is None


FILTERS = [
    pytest.param(table, str(name), id=f"{model.__name__}.{name}")
    for model, table in admin_site._registry.items()
    for name in table.list_filter
    if isinstance(name, str)  # the others have words of their own, and no lookup
]


@pytest.mark.parametrize(("table", "name"), FILTERS)
def test_a_filter_is_exact(table: Any, name: str) -> None:
    field = table.opts.get_field(name)
    own = f"{name}__{field.target_field.name}" if field.is_relation else name

    allowed = {operator for operator in OPERATORS if table.lookup_allowed(f"{own}{operator}", "x", None)}

    assert allowed - {"__isnull"} == {"", "__exact"}


@pytest.mark.parametrize("table", [table for table in TABLES if table.values[0].search_fields])
def test_no_search_finds_by_a_secret(table: Any, list_of: Any, secrets: dict[str, str]) -> None:
    guesses = [guess for secret in secrets.values() for guess in (secret[:40], secret[:12])]
    found = {guess: list_of(table, f"q={quote(guess)}") for guess in guesses}

    assert not [path for path in table.search_fields if SECRET.search(path.rpartition("__")[2].lstrip("=^@"))]
    assert {guess: rows.result_count for guess, rows in found.items()} == dict.fromkeys(guesses, 0)


@pytest.mark.parametrize("table", TABLES)
def test_no_ordering_reveals_a_secret(table: Any, list_of: Any) -> None:
    columns = range(1, len(table.list_display) + 1)
    asked = [*(f"{sign}{column}" for column in columns for sign in ("", "-")), "password"]

    lists = [list_of(table, f"{ORDER_VAR}={order}") for order in asked]

    orders = {str(order) for rows in lists for order in rows.queryset.query.order_by}
    assert orders
    assert not [order for order in orders if SECRET.search(order)]


@pytest.mark.parametrize("table", TABLES)
def test_a_row_is_found_by_its_key_alone(table: Any, client: ServiceClient) -> None:
    others = [field.name for field in table.model._meta.concrete_fields if not field.primary_key]

    assert not [name for name in others if table.to_field_allowed(RequestFactory().get("/"), name)]
    pages = [f"{address_of(table)}{path}?_to_field={name}" for name in others for path in ("", "x/change/")]
    assert {page: client.get(page).status_code for page in pages} == dict.fromkeys(pages, 400)


def test_autocomplete_and_view_on_site_are_closed(client: ServiceClient, secrets: dict[str, str]) -> None:
    """Django's own views look rows up in every table, the keys of sessions among them."""
    autocomplete = [
        f"/admin/autocomplete/?app_label={model._meta.app_label}&model_name={model._meta.model_name}&field_name={name}&term="
        for model in apps.get_models()
        for name, _ in relations(model)
    ]
    view_on_site = [f"/admin/r/{number}/{secrets['LoginSession.session_key']}/" for number in range(1, 60)]

    found = {page: client.get(page).status_code for page in [*autocomplete, *view_on_site]}

    assert found == dict.fromkeys(found, 404)


OPENED_BY_STAFF = {"Invoice.hosted_url"}  # the link to the provider's page of the invoice


@pytest.mark.parametrize("table", TABLES)
def test_no_page_of_a_table_holds_a_secret(table: Any, client: ServiceClient, secrets: dict[str, str]) -> None:
    page = client.get(address_of(table))
    rows = list(page.context["cl"].result_list)[:3] if table.list_display_links is not None else []
    pages = [page, *(client.get(f"{address_of(table)}{row.pk}/change/") for row in rows)]

    text = "".join(answer.content.decode() for answer in pages)
    shown = {name for name, secret in secrets.items() if len(secret) > 30 and secret in text}
    assert shown <= (OPENED_BY_STAFF if table.model._meta.object_name == "Invoice" else set())


COUNTED = {"staff_users", "staff_audit"}  # operations whose answer has a count


def operations_with_queries() -> list[Operation]:
    return [one for one in operations("admin_ops") if one.method == "GET" and one.parameter_names("query")]


def test_no_staff_api_query_finds_or_shows_a_secret(scenario: Scenario, secrets: dict[str, str]) -> None:
    client, token = ServiceClient("admin_ops"), scenario.tokens["staff:admin"]
    answered_differently: dict[str, list[str]] = {}
    found_rows = []
    for operation in operations_with_queries():
        for name, secret in product(operation.parameter_names("query"), secrets.values()):
            url = operation.url_for(scenario.ids)
            right, wrong = (
                client.get(f"{url}?{name}={quote(guess)}", token=token)
                for guess in (secret[:12], "never" + secret[5:12])
            )
            text = _streamed(right)
            if right.status_code != wrong.status_code or (len(secret) > 30 and secret in text):
                answered_differently.setdefault(str(operation), []).append(name)
            if right.status_code == 200 and operation.id in COUNTED and name not in {"cursor", "limit"}:
                found_rows += [(name, secret)] * (right.json()["count"] + wrong.json()["count"])

    assert answered_differently == {}
    assert found_rows == []
    assert Mail.objects.exists()


def _streamed(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode() if answer.streaming else answer.content.decode()
