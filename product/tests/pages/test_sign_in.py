"""Registering, logging in and out on pages."""

import re

import pyotp
import pytest

from product.pages.urls import urlpatterns
from saas.accounts import second_factor
from saas.accounts.models import LoginSession, User
from saas.accounts.passwords import login_throttle
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories.user_factories import PASSWORD, Person

NEW = {"full_name": "Nell", "email": "nell@example.net", "password": "an entirely new phrase"}


def text_of(answer) -> str:
    return answer.content.decode()


@pytest.mark.parametrize("page", [page for page in urlpatterns if page.name.startswith("account")], ids=str)
def test_who_is_not_logged_in_logs_in_first_and_comes_back(product: ServiceClient, db, page) -> None:
    path = "/" + re.sub(r"<[^>]+>", "x", str(page.pattern))

    answer = product.get(f"{path}?a=b")

    assert (answer.status_code, answer.headers["Location"]) == (302, f"/login?next={path.replace('/', '%2F')}%3Fa%3Db")


def test_registering_logs_in_and_mails_a_link(product: ServiceClient, db) -> None:
    product.get("/register")

    answer = product.submit_form("/register", {**NEW, "next": "/account/data"})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/data")
    assert User.objects.get().full_name == "Nell"
    assert Mail.objects.get().template == "welcome"
    page = text_of(product.get("/account/data"))
    assert "Welcome. We sent you a link to confirm your address." in page
    assert "Confirm your e-mail address: we sent a link to <strong>nell@example.net</strong>" in page


def test_a_refused_form_keeps_what_was_typed_and_focuses_the_fault(product: ServiceClient, db) -> None:
    product.get("/register")

    answer = product.submit_form("/register", {**NEW, "password": "short"})

    page = text_of(answer)
    assert answer.status_code == 422
    assert "<title>Error: Create your account · SaaS</title>" in page
    assert ('value="Nell"' in page, 'value="nell@example.net"' in page, "short" in page) == (True, True, False)
    field = re.search(r'<input [^>]*name="password"[^>]*>', page)
    assert field
    assert 'aria-invalid="true" aria-describedby="id_password_error id_password_help" autofocus' in field[0]
    assert "Use at least 12 characters." in page
    assert not User.objects.exists()


def test_registering_twice_by_a_double_click_is_logging_in(product: ServiceClient, service, db) -> None:
    product.get("/register")
    other = service("product")
    other.cookies = product.cookies.copy()
    product.submit_form("/register", NEW)

    second = other.submit_form("/register", NEW)

    assert (second.status_code, second.headers["Location"]) == (302, "/billing")
    assert User.objects.count() == 1
    assert [mail.template for mail in Mail.objects.all()] == ["welcome"]


def test_a_taken_address_is_told_to_who_does_not_know_the_password(product: ServiceClient, customer: Person) -> None:
    product.get("/register")

    answer = product.submit_form("/register", {**NEW, "email": customer.user.email})

    assert answer.status_code == 409
    assert "There is an account with this e-mail address already." in text_of(answer)
    assert Mail.objects.filter(template="register_attempt", recipient=customer.user.email).count() == 1


def test_an_owner_is_warned_even_after_too_many_guesses(product: ServiceClient, customer: Person) -> None:
    for _ in range(5):
        login_throttle.count_attempt(login_throttle.password_key(customer.user.email))
    product.get("/register")

    answer = product.submit_form("/register", {**NEW, "email": customer.user.email})

    assert answer.status_code == 429
    assert Mail.objects.filter(template="register_attempt", recipient=customer.user.email).count() == 1


def test_a_wrong_password_is_not_told_from_an_unknown_address(product: ServiceClient, customer: Person) -> None:
    product.get("/login")

    pages = [
        text_of(product.submit_form("/login", {"email": email, "password": "not the password"}))
        for email in (customer.user.email, "nobody@example.net")
    ]

    plain = [re.sub(r'value="[^"]*"', "", page) for page in pages]
    assert plain[0] == plain[1]
    assert "Invalid credentials" in plain[0]


def test_a_login_leads_only_to_pages_of_ours(product: ServiceClient, customer: Person) -> None:
    product.get("/login")

    answer = product.submit_form(
        "/login?next=//evil.example",
        {"email": customer.user.email, "password": PASSWORD, "next": "https://evil.example"},
    )

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account")


def test_who_is_logged_in_is_not_asked_again(pages: ServiceClient) -> None:
    assert pages.get("/login?next=/account/devices").headers["Location"] == "/account/devices"
    assert pages.get("/register").headers["Location"] == "/billing"


@pytest.fixture
def second_secret(customer: Person) -> str:
    secret = second_factor.begin_totp_setup(customer.user).secret
    session = LoginSession.objects.filter(user=customer.user).first()
    second_factor.confirm_totp_setup(session, pyotp.TOTP(secret).at(0, counter_offset=_step() - 1))
    return secret


def _step() -> int:
    import time

    return int(time.time()) // 30


def test_a_second_factor_is_asked_for_and_its_code_may_have_spaces(
    product: ServiceClient, customer: Person, second_secret: str
) -> None:
    product.get("/login")
    half = product.submit_form("/login", {"email": customer.user.email, "password": PASSWORD, "next": "/account/data"})
    assert half.headers["Location"] == "/login/code?next=%2Faccount%2Fdata"
    cookie = half.cookies["saas_pending_login"]
    assert (cookie["httponly"], cookie["path"], cookie["max-age"]) == (True, "/login", 300)
    assert "saas_session" not in half.cookies

    code = pyotp.TOTP(second_secret).now()
    wrong = product.submit_form("/login/code", {"code": "000 000", "next": "/account/data"})
    right = product.submit_form("/login/code", {"code": f" {code[:3]} {code[3:]} ", "next": "/account/data"})

    assert (wrong.status_code, "This code is not right." in text_of(wrong)) == (401, True)
    assert (right.status_code, right.headers["Location"]) == (302, "/account/data")
    assert product.get("/account/data").status_code == 200
    assert product.cookies["saas_pending_login"].value == ""


def test_without_a_first_factor_there_is_no_second_step(product: ServiceClient, db) -> None:
    assert product.get("/login/code").headers["Location"] == "/login"


def test_a_second_step_that_is_over_begins_again(product: ServiceClient, db) -> None:
    product.get("/login")
    product.cookies["saas_pending_login"] = "mfa_nonsense"

    answer = product.submit_form("/login/code", {"code": "123456"})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/login")
    assert "This login is over. Begin again." in text_of(product.get("/login"))


def test_logging_out_takes_a_button(pages: ServiceClient, customer: Person) -> None:
    assert pages.get("/logout").status_code == 200
    assert pages.get("/account").status_code == 200

    answer = pages.submit_form("/logout", {})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert pages.get("/account").status_code == 302
    assert LoginSession.objects.live().get(user=customer.user).sid == customer.session_id  # of another device


def test_the_cookie_of_a_page_is_the_apis(pages: ServiceClient, customer: Person) -> None:
    assert pages.get("/api/auth/me").json()["user"]["email"] == customer.user.email


def test_a_member_of_staff_does_not_log_in_here(product: ServiceClient, staff_member: Person) -> None:
    product.get("/login")

    answer = product.submit_form("/login", {"email": staff_member.user.email, "password": PASSWORD})
    product.cookies["saas_session"] = staff_member.cookie_key

    assert answer.status_code == 401
    assert product.get("/account").headers["Location"] == "/login?next=%2Faccount"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("oauth_declined", "The sign-in was declined at the provider."),
        ("oauth_state_invalid", "This sign-in was not begun here, or is over. Begin again."),
    ],
)
def test_what_a_provider_refused_is_told_at_the_login(product: ServiceClient, db, code: str, sentence: str) -> None:
    back = product.get(f"/login/return?error={code}&next=/account/data")
    assert back.headers["Location"] == f"/login?next=%2Faccount%2Fdata&error={code}"

    page = text_of(product.get(back.headers["Location"]))

    assert 'role="alert"' in page
    assert sentence in page


@pytest.mark.usefixtures("github_sign_in")
def test_a_sign_in_that_nobody_began_here_leads_a_browser_to_the_login(product: ServiceClient, db) -> None:
    path = "/api/auth/oauth/github/callback?state=x&code=y"

    page = product.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    program = product.get(path)

    assert page.headers["Location"] == "http://localhost:8000/login?error=oauth_state_invalid"
    assert (program.status_code, program.json()["code"]) == (400, "oauth_state_invalid")


@pytest.mark.usefixtures("github_sign_in")
def test_a_provider_is_a_button_that_leads_there_and_back(product: ServiceClient, db) -> None:
    from saas.accounts.models import OAuthState

    assert 'href="/login/with/github?next=%2Faccount%2Fdata"' in text_of(product.get("/login?next=/account/data"))

    answer = product.get("/login/with/github?next=/account/data")

    assert answer.headers["Location"].startswith("https://github.com/login/oauth/authorize?")
    assert OAuthState.objects.get().return_to == "http://localhost:8000/login/return?next=%2Faccount%2Fdata"
    assert answer.cookies["oauth_browser"]["samesite"] == "Lax"
