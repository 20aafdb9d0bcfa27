"""The OpenAPI document of each service: valid, whole, and as careful about refusals as about answers.

That answers are what it says is checked with every request of every test (``saas.testing.response_schema``).
"""

import re
from collections import Counter
from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from saas.testing.clients import ServiceClient
from saas.testing.openapi import SERVICES, Operation, openapi_document, operations, views_by_path
from saas.testing.service_settings import service_settings

EVERY = [operation for service in SERVICES for operation in operations(service)]
READ_BESIDE_THE_API = {"/openapi.json", "/docs", "/redoc", "/metrics", "/invitations/accept"}

# What clients that were written for the starter call: this API keeps all of it.
STARTERS_CALLS = {
    "product": {
        "GET /health", "GET /api/health", "GET /api/health/module/{name}",
        "POST /api/auth/register", "POST /api/auth/login", "GET /api/auth/me", "GET /api/auth/oauth/{provider}",
        "GET /api/auth/oauth/{provider}/callback", "POST /api/auth/oauth/{provider}/callback",
        "GET /api/users/profile", "PUT /api/users/profile", "PATCH /api/users/profile",
        "GET /api/subscriptions/plans", "POST /api/subscriptions/checkout", "GET /api/subscriptions/current",
        "POST /api/billing/payment-method", "GET /api/teams", "POST /api/teams",
    },
    "admin_ops": {
        "GET /health", "GET /api/health", "GET /api/health/module/{name}",
        "POST /api/admin/auth/login", "GET /api/admin/users", "PUT /api/admin/users/{user_id}/ban",
        "GET /api/admin/subscriptions", "GET /api/admin/metrics/users", "GET /api/admin/metrics/revenue",
        "GET /api/admin/health",
    },
    "parity": {
        "GET /health", "GET /api/health", "GET /api/health/module/{name}",
        "POST /auth/register", "POST /auth/login", "GET /auth/me", "GET /users/profile", "PUT /users/profile",
        "POST /api/auth/register", "POST /api/auth/login", "GET /api/auth/me", "GET /api/users/profile",
    },
    "webhooks": {
        "GET /health", "GET /api/health", "GET /api/health/module/{name}",
        "POST /api/webhooks/stripe", "GET /api/webhooks/logs", "POST /api/webhooks/replay/{event_id}",
    },
}  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_every_default_is_a_value_that_its_own_schema_allows(service: str) -> None:
    """Generated clients send it."""
    document = openapi_document(service)
    refused = [
        f"{name}.{field}: {error.message}"
        for name, shape in document["components"]["schemas"].items()
        for field, schema in shape.get("properties", {}).items()
        if "default" in schema
        for error in Draft202012Validator({**schema, "components": document["components"]}).iter_errors(
            schema["default"]
        )
    ]

    assert refused == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_schema_is_made_without_a_warning_and_is_valid(service: str) -> None:
    with service_settings(service):
        schema = SchemaGenerator(urlconf=f"{service}.urls").get_schema(public=True)

    assert (GENERATOR_STATS._warn_cache, GENERATOR_STATS._error_cache) == ({}, {})
    validate_schema(schema)


@pytest.mark.parametrize(
    ("service", "tags", "first"),
    [
        (
            "product",
            ["auth", "mfa", "oauth", "users", "subscriptions", "billing", "teams", "invitations", "api keys", "health"],
            "/api/auth/register",
        ),
        (
            "admin_ops",
            ["auth", "users", "impersonation", "billing", "access", "webhooks", "metrics", "audit", "health"],
            "/api/admin/auth/login",
        ),
        ("parity", ["auth", "mfa", "users", "health"], "/auth/register"),
        ("webhooks", ["webhooks", "operators", "health"], "/api/webhooks/stripe"),
    ],
)
def test_the_reference_begins_with_accounts_and_is_read_as_the_urls_are(
    service: str, tags: list[str], first: str
) -> None:
    document = openapi_document(service)
    told = {tag["name"]: tag["description"] for tag in document["tags"]}
    begins = [path for path, calls in document["paths"].items() if tags[0] in str(next(iter(calls.values()))["tags"])]

    assert list(told) == tags
    assert all(text.endswith(".") for text in told.values())
    assert begins[0] == first
    assert {tag for one in operations(service) for tag in one.raw["tags"]} == set(tags)


@pytest.mark.parametrize("service", SERVICES)
def test_a_schema_has_every_call_of_the_starters_clients(service: str) -> None:
    documented = {
        f"{method.upper()} {path}" for path, methods in openapi_document(service)["paths"].items() for method in methods
    }

    assert STARTERS_CALLS[service] - documented == set()


@pytest.mark.guard
@pytest.mark.parametrize("service", SERVICES)
def test_every_method_of_every_view_is_documented_and_nothing_else(service: str) -> None:
    answered = {
        path: set(view.cls(**view.initkwargs).allowed_methods) - {"OPTIONS", "HEAD"}
        for path, view in views_by_path(service).items()
        if issubclass(getattr(view, "cls", object), APIView) and path not in READ_BESIDE_THE_API
    }

    assert answered == {
        path: {m.upper() for m in methods} for path, methods in openapi_document(service)["paths"].items()
    }


@pytest.mark.guard
@pytest.mark.parametrize("service", SERVICES)
def test_operation_ids_are_unique_and_every_tag_is_explained(service: str) -> None:
    raw = [operation for methods in openapi_document(service)["paths"].values() for operation in methods.values()]

    assert [id for id, count in Counter(operation["operationId"] for operation in raw).items() if count > 1] == []
    assert {tag for operation in raw for tag in operation["tags"]} == {
        tag["name"] for tag in openapi_document(service)["tags"]
    }
    assert openapi_document(service)["info"]["title"]


@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_an_operation_has_a_short_summary(operation: Operation) -> None:
    assert 2 <= len(operation.raw["summary"]) <= 80
    assert len(operation.raw["tags"]) == 1


@pytest.mark.guard
@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_an_operation_documents_its_refusals_as_problems(operation: Operation) -> None:
    answers = {status: operation.resolved(answer) for status, answer in operation.raw["responses"].items()}
    problems = {status: answer for status, answer in answers.items() if status == "default" or status >= "400"}
    takes_body, takes_query = operation.has_body, bool(operation.parameter_names("query"))

    assert _needed(operation, takes_body, takes_query) - set(problems) == set()
    assert {status for status, answer in problems.items() if not _is_problem(answer)} <= _own_503(operation)
    assert all("X-Request-ID" in answer["headers"] for answer in answers.values())
    assert all(answer["description"] for answer in answers.values())
    assert "X-Request-ID" in operation.parameter_names("header")


def _needed(operation: Operation, takes_body: bool, takes_query: bool) -> set[str]:
    needed = {"default", "400", "503"}
    needed |= {"413", "415", "422"} if takes_body else set()
    needed |= {"422"} if takes_query else set()
    needed |= {"404"} if operation.parameter_names("path") else set()
    return needed | (set() if operation.is_public else {"401"})


def _is_problem(answer: dict[str, Any]) -> bool:
    return answer["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _own_503(operation: Operation) -> set[str]:
    """Readiness tells the state of each dependency with its 503."""
    return {"503"} if operation.path == "/health/ready" else set()


@pytest.mark.guard
@pytest.mark.parametrize("operation", EVERY, ids=str)
def test_the_schema_documents_which_operations_need_credentials(operation: Operation) -> None:
    view = views_by_path(operation.service)[operation.path]
    is_public = AllowAny in view.cls.permission_classes

    assert operation.is_public == is_public
    schemes = {name for requirement in operation.raw.get("security", []) for name in requirement}
    assert schemes <= set(openapi_document(operation.service)["components"]["securitySchemes"])


@pytest.mark.parametrize("service", SERVICES)
def test_the_cookie_that_is_documented_is_the_one_that_the_service_reads(service: str) -> None:
    with service_settings(service):
        from django.conf import settings

        expected = settings.SESSION_COOKIE_NAME

    assert openapi_document(service)["components"]["securitySchemes"]["cookie"]["name"] == expected


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_documentations_pages_load_nothing_from_elsewhere(service: str, page: str) -> None:
    answer = ServiceClient(service).get(page)

    assert answer.status_code == 200
    # A link to another service is followed by a click only.
    without_links = re.sub(r'<a href="[^"]*"', "<a", answer.content.decode())
    assert "//" not in without_links.replace("https://www.w3.org", "")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_a_list_that_may_not_be_empty_says_so() -> None:
    scopes = openapi_document("product")["components"]["schemas"]["ApiKeyRequest"]["properties"]["scopes"]

    assert (scopes["minItems"], scopes["maxItems"]) == (1, 2)
