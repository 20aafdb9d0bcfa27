"""Errors for browsers are pages, for programs problem documents; the path and ``Accept`` decide."""

import pytest
from django.db import OperationalError
from django.urls import clear_url_caches, path

from saas.testing.clients import ServiceClient
from saas.testing.openapi import SERVICES

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(params=SERVICES)
def client(request: pytest.FixtureRequest, service) -> ServiceClient:
    return service(request.param)


def crash(request):
    raise RuntimeError("a secret of the exception")


def lose_the_database(request):
    raise OperationalError("a secret of the exception")


@pytest.fixture
def crashing_routes(client: ServiceClient, monkeypatch: pytest.MonkeyPatch):
    from importlib import import_module

    routes = import_module(f"{client.service}.urls")
    more = [path("crash", crash), path("away", lose_the_database), path("api/crash", crash)]
    monkeypatch.setattr(routes, "urlpatterns", [*routes.urlpatterns, *more])
    clear_url_caches()
    yield
    clear_url_caches()


def assert_page(answer, status: int, heading: str) -> None:
    html = answer.content.decode()
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert f"<h1>{heading}</h1>" in html
    assert 'href="/static/saas/pages.css"' in html
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; style-src 'self';")
    assert "unsafe-inline" not in policy
    assert "Accept" in answer.headers["Vary"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_browser_at_an_unknown_address_reads_a_page(client: ServiceClient) -> None:
    answer = client.get("/nothing/here", headers={"Accept": BROWSER})

    assert_page(answer, 404, "There is no such page")


@pytest.mark.parametrize(
    ("address", "accept"),
    [
        ("/nothing", "application/json"),
        ("/nothing", "*/*"),
        ("/nothing", ""),
        ("/nothing", "text/html;q=0.5, application/json"),
        ("/api/nothing", BROWSER),
    ],
)
def test_a_program_reads_a_problem_document(client: ServiceClient, address: str, accept: str) -> None:
    answer = client.get(address, headers={"Accept": accept})

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"


def test_an_api_without_a_prefix_answers_a_browser_in_json(parity: ServiceClient) -> None:
    answer = parity.get("/auth/me", headers={"Accept": f"application/json;q=0.1, {BROWSER}"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.usefixtures("crashing_routes")
def test_a_crash_is_a_page_that_names_the_request_and_no_more(client: ServiceClient) -> None:
    answer = client.get("/crash", headers={"Accept": BROWSER, "X-Request-ID": "crash-1"})

    assert_page(answer, 500, "Something went wrong on our side")
    assert "crash-1" in answer.content.decode()
    assert "a secret" not in answer.content.decode()


@pytest.mark.usefixtures("crashing_routes")
def test_a_crash_of_an_api_stays_a_problem_document(client: ServiceClient) -> None:
    answer = client.get("/api/crash", headers={"Accept": BROWSER})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")


@pytest.mark.usefixtures("crashing_routes")
def test_a_database_that_is_away_is_a_page_which_asks_it_nothing(
    client: ServiceClient, django_assert_num_queries
) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/away", headers={"Accept": BROWSER})

    assert_page(answer, 503, "This is away for a moment")
    assert answer.headers["Retry-After"] == "5"


def test_an_unknown_host_is_a_page(client: ServiceClient) -> None:
    answer = client.get("/nothing", headers={"Accept": BROWSER, "Host": "evil.example"})

    assert_page(answer, 400, "This request could not be read")


def test_a_form_without_its_token_is_a_page_that_says_what_to_do(product: ServiceClient) -> None:
    raw, kind = b"email=kim@example.net", "application/x-www-form-urlencoded"

    answer = product.post("/forgot", raw=raw, content_type=kind, headers={"Accept": BROWSER})

    assert_page(answer, 403, "This form is no longer valid")


def test_a_form_of_another_site_is_a_page(product: ServiceClient) -> None:
    answer = product.post("/forgot", headers={"Accept": BROWSER, "Origin": "https://evil.example"})

    assert_page(answer, 403, "You may not do this")


def test_a_refusal_by_a_limit_is_a_page(product: ServiceClient, settings) -> None:
    settings.RATE_LIMIT_SCALE = 1
    product.get("/forgot")
    for _ in range(20):
        product.submit_form("/forgot", {"email": "not an address"})

    answer = product.submit_form("/forgot", {"email": "not an address"})

    assert answer.status_code == 429
    assert "Too many requests. Try again later." in answer.content.decode()
    assert 0 < int(answer.headers["Retry-After"]) <= 3600


def test_a_page_speaks_the_browsers_language(client: ServiceClient) -> None:
    answer = client.get("/nothing", headers={"Accept": BROWSER, "Accept-Language": "de-CH,de;q=0.9"})

    assert answer.headers["Content-Language"] == "de"
    assert '<html lang="de">' in answer.content.decode()


# ── The start of each service ──


def test_the_start_says_what_this_is_and_where_to_go(client: ServiceClient, settings) -> None:
    answer = client.get("/", headers={"Accept": BROWSER})

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    if client.service != "product":
        html = answer.content.decode()
        assert ('href="/docs"' in html, 'href="/health"' in html) == (True, True)
        assert ('href="/admin/"' in html) == (client.service == "admin_ops")
        settings.OPEN_INTERNALS = False
        assert 'href="/docs"' not in client.get("/", headers={"Accept": BROWSER}).content.decode()


def test_the_start_is_json_for_a_program(client: ServiceClient) -> None:
    answer = client.get("/", headers={"Accept": "application/json"})

    assert (answer.status_code, answer.json()["service"]) == (200, client.service)
    assert answer.json()["links"]["health"] == "/health"
