"""Every error of every service is a problem document, whoever raised it: a view, DRF, Django, the database, nobody."""

import json
import logging
from importlib import import_module

import pytest
from django.db import OperationalError, connection, transaction
from django.urls import clear_url_caches, path
from rest_framework.request import Request
from rest_framework.response import Response

from saas.api.views import PublicView
from saas.errors import Invalid
from saas.testing.clients import ServiceClient
from saas.testing.factories.event_factories import event, json_bytes, signature_headers
from saas.testing.factories.user_factories import Person
from saas.testing.openapi import SERVICES, Operation, operations

SECRET = "a sentence of the exception that nobody outside may read"
LIMIT = 1_048_576  # bytes
FIELDS = {"type", "title", "status", "detail", "code", "request_id"}
TAKES_JSON = {"product": "/api/auth/login", "admin_ops": "/api/admin/auth/login", "parity": "/auth/login"}


@pytest.fixture(params=SERVICES)
def client(request: pytest.FixtureRequest, service) -> ServiceClient:
    return service(request.param)


@pytest.fixture(params=TAKES_JSON)
def json_client(request: pytest.FixtureRequest, service) -> ServiceClient:
    return service(request.param)


def assert_problem(answer, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(body) - {"errors"} == FIELDS
    assert body["type"] == f"urn:saas:problem:{code}"
    assert all(isinstance(body[name], str) and body[name] for name in FIELDS - {"status"})
    assert body["request_id"] == answer.headers["X-Request-ID"]


# ── Routes, methods, hosts ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["/nothing/here", "/api/nothing", "/health/", "/API/health"])
def test_an_unknown_address_is_not_found(client: ServiceClient, address: str) -> None:
    assert_problem(client.generic("GET", address), 404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("address", ["/health", "/metrics", "/openapi.json", "/docs", "/redoc"])
def test_an_unknown_method_is_refused_with_the_allowed_ones(client: ServiceClient, address: str, method: str) -> None:
    answer = client.send(method, address)

    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"].startswith("GET, HEAD")


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "$nonsense", "localhost:8000:8000", "a b"])
def test_an_unknown_host_is_refused(client: ServiceClient, host: str) -> None:
    assert_problem(client.get("/api/health", headers={"Host": host}), 400, "malformed")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}".ljust(LIMIT + 1), 413),
        (b'{"email": ' + b"[" * 63 + b"]" * 63 + b"}", 422),
        (b'{"email": ' + b"[" * 64 + b"]" * 64 + b"}", 400),
        (b'{"email": [' + b"0," * 99 + b"0]}", 422),
        (b'{"email": [' + b"0," * 100 + b"0]}", 400),
    ],
    ids=["one byte too large", "of the greatest depth", "deeper", "with the longest list", "longer"],
)
def test_a_body_is_limited_in_size_depth_and_length_of_lists(
    product: ServiceClient, db, body: bytes, status: int
) -> None:
    assert product.post(TAKES_JSON["product"], raw=body).status_code == status


def test_a_body_that_is_too_large_is_refused_before_anybody_reads_it(client: ServiceClient) -> None:
    assert_problem(client.post("/health", raw=b" " * 2_000_000), 413, "too_large")


def test_a_body_of_exactly_the_limit_is_read(json_client: ServiceClient) -> None:
    answer = json_client.post(TAKES_JSON[json_client.service], raw=b"{}".ljust(LIMIT))

    assert_problem(answer, 422, "invalid")


# ── Bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("raw", [b"{", b"", b"[]", b"null", b"'a'", b'{"a": 1,}', b'{"a": NaN}', b'{"a": 1, "a": 2}'])
def test_a_body_that_is_no_json_object_is_not_understood(json_client: ServiceClient, raw: bytes) -> None:
    assert_problem(json_client.post(TAKES_JSON[json_client.service], raw=raw), 400, "malformed")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "nonsense",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=no-such-thing",
    ],
)
def test_a_body_in_another_form_or_character_set_is_refused(json_client: ServiceClient, content_type: str) -> None:
    answer = json_client.post(TAKES_JSON[json_client.service], raw=b'{"a": 1}', content_type=content_type)

    assert_problem(answer, 415, "unsupported_media_type")


def test_a_client_that_wants_another_form_is_told_that_there_is_none(client: ServiceClient) -> None:
    assert_problem(client.get("/health", headers={"Accept": "application/xml"}), 406, "not_acceptable")


# ── Who are you ──────────────────────────────────────────────────────────────────────────────────────────────────────


PRIVATE = [one for service in SERVICES for one in operations(service) if not one.is_public]


@pytest.mark.parametrize("operation", PRIVATE, ids=str)
def test_without_credentials_nothing_private_answers(service, operation: Operation, settings) -> None:
    settings.WEBHOOKS_OPEN_OPERATOR_API = False  # as in production

    answer = service(operation.service).send(operation.method, operation.path, {})

    assert_problem(answer, 401, "not_authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("operation", PRIVATE, ids=str)
def test_another_form_is_refused_whatever_the_credentials_are_worth(service, operation: Operation) -> None:
    wanted = {"Accept": "application/xml"}

    answer = service(operation.service).send(operation.method, operation.path, {}, headers=wanted, token="not.a.token")

    assert_problem(answer, 406, "not_acceptable")


def test_another_form_is_refused_to_a_cookie_without_its_csrf_token(product: ServiceClient, customer: Person) -> None:
    product.cookies["saas_session"] = customer.cookie_key

    answer = product.post("/api/teams", {"name": "By cookie"}, headers={"Accept": "application/xml"})

    assert_problem(answer, 406, "not_acceptable")


# ── The request's id ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("claimed", ["a", "x" * 64, "Trace-1.2_3", "0"])
def test_a_decent_request_id_comes_back(client: ServiceClient, claimed: str) -> None:
    found = client.get("/health", headers={"X-Request-ID": claimed})
    refused = client.get("/nothing", headers={"X-Request-ID": claimed})

    assert found.headers["X-Request-ID"] == claimed
    assert refused.json()["request_id"] == claimed


@pytest.mark.parametrize("claimed", ["", "x" * 65, "a b", "a\r\nSet-Cookie: b=c", "ä", "<script>", "a\x00", "a\n"])
def test_a_request_id_that_does_not_fit_is_replaced(client: ServiceClient, claimed: str) -> None:
    answer = client.get("/nothing", headers={"X-Request-ID": claimed})

    assert answer.headers["X-Request-ID"].startswith("req_")
    assert_problem(answer, 404, "not_found")


# ── HEAD and OPTIONS ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["/health", "/metrics", "/openapi.json", "/docs", "/redoc", "/api/health/modules"])
def test_head_is_get_without_the_body(client: ServiceClient, address: str) -> None:
    get, head = client.get(address), client.send("HEAD", address)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


def test_options_tells_the_methods_and_nothing_else(client: ServiceClient) -> None:
    answer = client.send("OPTIONS", "/health")

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


# ── Crashes and dependencies that are away ───────────────────────────────────────────────────────────────────────────


class CrashingView(PublicView):
    def get(self, request: Request) -> Response:
        raise RuntimeError(SECRET)


class UnrenderableView(PublicView):
    def get(self, request: Request) -> Response:
        return Response({SECRET: object()})


def crash(request):
    raise RuntimeError(SECRET)


def lose_the_database(request):
    raise OperationalError(SECRET)


@pytest.fixture
def more_routes(client: ServiceClient, monkeypatch: pytest.MonkeyPatch):
    routes = import_module(f"{client.service}.urls")
    more = [
        path("crash/view", CrashingView.as_view()),
        path("crash/renderer", UnrenderableView.as_view()),
        path("crash/plain", crash),
        path("crash/database", lose_the_database),
    ]
    monkeypatch.setattr(routes, "urlpatterns", [*routes.urlpatterns, *more])
    clear_url_caches()
    yield
    clear_url_caches()


@pytest.mark.parametrize("where", ["view", "renderer", "plain"])
def test_a_crash_tells_nothing_but_an_id_and_is_logged_once(
    client: ServiceClient, more_routes, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get(f"/crash/{where}", headers={"X-Request-ID": "crash-1"})

    assert_problem(answer, 500, "internal_error")
    assert SECRET not in answer.content.decode()
    assert answer.json()["detail"] == answer.json()["title"]
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info is not None for record in errors] == [True]


def test_a_database_that_goes_away_outside_a_view_of_ours_is_no_crash(client: ServiceClient, more_routes) -> None:
    answer = client.get("/crash/database")

    assert_problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("operation", PRIVATE, ids=str)
def test_without_the_database_a_caller_is_told_when_to_come_back(
    service, operation: Operation, customer: Person, staff_member: Person
) -> None:
    token = customer.token if operation.service in {"product", "parity"} else staff_member.token

    with connection.execute_wrapper(_away):
        answer = service(operation.service).send(operation.method, operation.path, {}, token=token)

    assert_problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert SECRET not in answer.content.decode()


@pytest.mark.postgres
@pytest.mark.parametrize("name", SERVICES)
def test_a_database_that_takes_no_writes_is_no_crash(service, customer: Person, name: str) -> None:
    body = json.dumps({"email": customer.user.email, "password": "a wrong password"}).encode()
    path, headers = TAKES_JSON.get(name, ""), {}
    if name == "webhooks":
        path, body = "/api/webhooks/stripe", json_bytes(event("evt_1", "product.created"))
        headers = signature_headers(body)

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET transaction_read_only = on")
        answer = service(name).send("POST", path, raw=body, headers=headers)
        transaction.set_rollback(True)  # which undoes the setting, too

    assert_problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert "read-only" not in answer.content.decode()


@pytest.mark.parametrize(
    ("refusal", "sentences"),
    [
        (
            Invalid(errors={"name": ["Too long.", "Not a name."], "email": ["Too short."]}),
            ("Too long.", "Not a name.", "Too short."),
        ),
        (Invalid("Only that.", errors={}), ("Only that.",)),
        (Invalid(), (Invalid.title,)),
    ],
)
def test_a_refusals_sentences_are_those_of_its_fields_else_its_detail(
    refusal: Invalid, sentences: tuple[str, ...]
) -> None:
    assert refusal.sentences == sentences


def _away(execute, sql, params, many, context):
    raise OperationalError(SECRET)
