"""Protections of browsers: the cookie, security headers, other origins, host names. (T18, T62 to T64)"""

import re

import pytest

from saas.testing.factories.user_factories import PASSWORD, Person

pytestmark = pytest.mark.django_db


def test_in_production_the_cookie_is_bound_to_the_host_and_opaque(product, customer, settings) -> None:
    settings.CUSTOMER_SESSION_COOKIE_NAME = "__Host-saas_session"
    settings.SESSION_COOKIE_SECURE = True

    refused = product.post("/api/auth/login", {"email": customer.user.email, "password": "not the password"})
    cookie = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).cookies[
        "__Host-saas_session"
    ]

    assert "__Host-saas_session" not in refused.cookies
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert re.fullmatch(r"[A-Za-z0-9]{43}", cookie.value)


@pytest.fixture
def over_https(settings) -> None:
    settings.COOKIE_PREFIX = "__Host-"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.CUSTOMER_SESSION_COOKIE_NAME = "__Host-saas_session"
    settings.STAFF_SESSION_COOKIE_NAME = "__Host-saas_admin_session"


@pytest.mark.parametrize("domain", [None, ".example.com"])
def test_in_production_every_cookie_of_pages_says_that_no_http_page_set_it(
    product, over_https, settings, domain: str | None
) -> None:
    settings.SESSION_COOKIE_DOMAIN = domain
    product.get("/register")
    product.submit_form("/register", {"email": "ada@example.net", "password": PASSWORD, "full_name": "Ada"})
    product.submit_form("/logout", {})
    settings_of_the_session = {"__Host-saas_session", "__Host-saas_device", "saas_device"}  # named by settings

    others = {name: cookie for name, cookie in product.cookies.items() if name not in settings_of_the_session}

    messages = "__Secure-messages" if domain else "__Host-messages"
    assert set(others) == {"__Host-product_csrf", messages}
    assert all(cookie["secure"] and cookie["path"] == "/" for cookie in others.values())
    assert others["__Host-product_csrf"]["domain"] == ""


def test_pages_run_no_plugins_even_where_scripts_of_ours_may(product) -> None:
    assert "object-src 'none'" in product.get("/docs").headers["Content-Security-Policy"]


ANSWERS = {
    200: ("GET", "/api/auth/csrf", {}),
    401: ("GET", "/api/auth/me", {}),
    404: ("GET", "/api/nothing", {}),
    405: ("PUT", "/api/auth/login", {}),
    403: ("POST", "/api/auth/login", {"Origin": "https://evil.example"}),
    400: ("POST", "/api/auth/login", {}),
}


@pytest.mark.parametrize("status", ANSWERS)
def test_every_answer_has_the_security_headers(product, status: int) -> None:
    method, path, headers = ANSWERS[status]

    answer = product.send(method, path, headers=headers)

    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not {"Server", "X-Powered-By"} & set(answer.headers)


@pytest.fixture
def front_end(settings) -> str:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    return "https://app.example.com"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://app.example.com.evil.tld",
        "http://app.example.com",
        "https://x.app.example.com",
    ],
)
def test_another_origin_gets_no_cors_headers(product, front_end: str, origin: str) -> None:
    answer = product.get("/api/auth/csrf", headers={"Origin": origin})

    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_front_end_on_the_list_may_read_with_credentials(product, front_end: str) -> None:
    answer = product.get("/api/auth/csrf", headers={"Origin": front_end})

    assert answer.headers["Access-Control-Allow-Origin"] == front_end
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "origin" in answer.headers["Vary"].lower()


def test_a_front_end_reads_the_name_of_a_file_that_it_fetches(product, front_end: str, customer: Person) -> None:
    answer = product.get("/api/users/export", token=customer.token, headers={"Origin": front_end})

    assert answer.headers["Content-Disposition"] == f'attachment; filename="{customer.user.pk}.json"'
    assert "Content-Disposition" in answer.headers["Access-Control-Expose-Headers"].split(", ")


@pytest.mark.parametrize("name", ["x-requested-with", "traceparent", "sentry-trace", "baggage"])
def test_a_front_end_may_send_the_headers_of_its_libraries(product, front_end: str, name: str) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": name}

    answer = product.send("OPTIONS", "/api/auth/login", headers={"Origin": front_end, **asked})

    assert name in answer.headers["Access-Control-Allow-Headers"].split(", ")


def test_a_preflight_runs_no_view(product, front_end: str, django_assert_num_queries) -> None:
    asked = {"Origin": front_end, "Access-Control-Request-Method": "POST"}

    with django_assert_num_queries(0):
        answer = product.send("OPTIONS", "/api/auth/login", headers=asked)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == front_end


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost@evil.example", "localhost:80:80", "$nonsense", "a,b", "[::"]
)
def test_a_host_that_is_not_ours_is_refused(product, host: str) -> None:
    answer = product.generic("GET", "/api/auth/csrf", headers={"Host": host})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


def test_trace_is_not_allowed(product) -> None:
    assert product.send("TRACE", "/api/auth/login").status_code == 405
