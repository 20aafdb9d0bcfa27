"""How long a login lives, and what ends it before (T09 to T11, T13, T15, T17, T38)."""

import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest
import time_machine
from django.db import connections

from saas.accounts.models import LoginSession, RefreshToken, User
from saas.accounts.staff import staff_administration
from saas.audit.models import AuditEvent
from saas.mail.models import Mail
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import PASSWORD, Person

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def customer(clock, db) -> Person:
    """Logged in at the fixed time."""
    return user_factories.create_customer()


def refresh(product: ServiceClient, token: str) -> Any:
    return product.post("/api/auth/refresh", {"refresh_token": token})


def me(product: ServiceClient, token: str = "") -> int:
    return int(product.get("/api/auth/me", token=token).status_code)


def test_an_access_token_lives_a_quarter_of_an_hour(product, customer: Person, clock) -> None:
    """And half a minute, by which the clocks of two machines may differ."""
    clock.shift(timedelta(minutes=15) + SECOND * 29)
    assert me(product, customer.token) == 200
    assert LoginSession.objects.get(sid=customer.session_id).last_seen_at == datetime.now(UTC)
    clock.shift(SECOND * 2)
    assert me(product, customer.token) == 401


def test_an_unused_refresh_token_lives_a_fortnight(product, customer: Person, clock) -> None:
    clock.shift(timedelta(days=14) + SECOND)

    assert refresh(product, customer.refresh_token).json()["code"] == "invalid_refresh_token"


def test_however_often_it_is_refreshed_a_login_ends_after_ninety_days(product, customer: Person, clock) -> None:
    token = customer.refresh_token
    for _ in range(9):
        clock.shift(timedelta(days=10) - SECOND)
        answer = refresh(product, token)
        assert answer.status_code == 200
        token = answer.json()["refresh_token"]

    assert RefreshToken.objects.latest("created_at").expires_at == LoginSession.objects.get().ends_at
    clock.shift(SECOND * 10)

    assert refresh(product, token).status_code == 401


@pytest.mark.parametrize("over", [{"ends_at": NOW}, {"epoch": 99}])
def test_a_login_that_is_over_opens_nothing(product, customer: Person, over: dict[str, Any]) -> None:
    LoginSession.objects.update(**over)

    by_token = (me(product, customer.token), refresh(product, customer.refresh_token).status_code)
    product.cookies["saas_session"] = customer.cookie_key

    assert (*by_token, me(product)) == (401, 401, 401)


@pytest.mark.parametrize(("path", "refused"), [("/api/auth/me", 401), ("/account", 302)])
def test_a_cookie_expires_after_an_idle_week_or_after_thirty_days(
    product, customer: Person, clock, path: str, refused: int
) -> None:
    product.cookies["saas_session"] = customer.cookie_key
    for _ in range(4):
        clock.shift(timedelta(days=7) - SECOND)
        assert product.get(path).status_code == 200
    clock.shift(timedelta(days=2) + SECOND * 5)
    assert product.get(path).status_code == refused


def test_a_login_that_nothing_can_use_any_more_is_not_listed(product, customer: Person, clock) -> None:
    def listed() -> set[str]:
        body = {"email": customer.user.email, "password": PASSWORD}
        token = product.post("/api/auth/login", body).json()["access_token"]
        return {row["id"] for row in product.get("/api/auth/sessions", token=token).json()["sessions"]}

    clock.shift(timedelta(days=14) - SECOND)
    assert customer.session_id in listed()  # its refresh token still works
    clock.shift(SECOND)
    assert customer.session_id not in listed()


def test_an_idle_cookie_is_dead_after_a_week(product, customer: Person, clock) -> None:
    product.cookies["saas_session"] = customer.cookie_key
    clock.shift(timedelta(days=7) + SECOND)

    assert me(product) == 401


def test_a_refresh_token_used_again_later_ends_its_login_and_no_other(product, customer: Person, clock) -> None:
    elsewhere = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()
    product.cookies.clear()
    fresh = refresh(product, customer.refresh_token).json()
    clock.shift(timedelta(seconds=11))

    replayed = refresh(product, customer.refresh_token)

    assert (replayed.status_code, replayed.json()["code"]) == (401, "refresh_reused")
    assert refresh(product, fresh["refresh_token"]).status_code == 401
    assert me(product, fresh["access_token"]) == 401
    assert me(product, elsewhere["access_token"]) == 200
    product.cookies["saas_session"] = customer.cookie_key
    assert me(product) == 401
    assert AuditEvent.objects.filter(action="session.refresh_reused").count() == 1
    assert Mail.objects.filter(template="session_ended_reuse").count() == 1


# ── An answer that was lost on its way (T93) ─────────────────────────────────────────────────────────────────────────


def test_a_refresh_answer_that_was_lost_is_given_again(product, customer: Person, clock) -> None:
    lost = refresh(product, customer.refresh_token).json()
    clock.shift(timedelta(seconds=10))

    again = refresh(product, customer.refresh_token)

    assert (again.status_code, again.json()["refresh_token"]) == (200, lost["refresh_token"])
    assert again.json()["session_id"] == customer.session_id
    assert me(product, again.json()["access_token"]) == 200
    assert RefreshToken.objects.filter(session__sid=customer.session_id).count() == 2
    clock.shift(timedelta(seconds=1))
    assert refresh(product, again.json()["refresh_token"]).status_code == 200


def test_what_was_used_meanwhile_is_not_given_again(product, customer: Person, clock) -> None:
    """Its holder did get it: whoever asks for it now is somebody else, or late."""
    second = refresh(product, customer.refresh_token).json()["refresh_token"]
    third = refresh(product, second).json()["refresh_token"]

    late = refresh(product, customer.refresh_token)

    assert (late.status_code, late.json()["code"]) == (401, "refresh_rotated")
    assert "refresh_token" not in late.json()
    assert refresh(product, third).status_code == 200


def test_after_the_grace_a_lost_answer_is_a_reuse(product, customer: Person, clock) -> None:
    lost = refresh(product, customer.refresh_token).json()["refresh_token"]
    clock.shift(timedelta(seconds=11))

    assert refresh(product, customer.refresh_token).json()["code"] == "refresh_reused"
    assert refresh(product, lost).status_code == 401


@pytest.mark.parametrize("end", ["logout", "logout-all"])
def test_nothing_is_given_again_to_a_session_that_is_over(product, customer: Person, clock, end: str) -> None:
    tokens = refresh(product, customer.refresh_token).json()
    product.post(f"/api/auth/{end}", token=tokens["access_token"])

    answer = refresh(product, customer.refresh_token)

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")


def test_no_table_holds_what_is_given_again(product, customer: Person, clock, settings) -> None:
    """Hashes only; and without our key it does not follow from the token before."""
    second = refresh(product, customer.refresh_token).json()["refresh_token"]

    rows = str(list(RefreshToken.objects.values()))
    assert second not in rows
    assert customer.refresh_token not in rows
    settings.SESSION_SECRET = "another key, as after a rotation in this very moment"
    assert refresh(product, customer.refresh_token).json()["code"] == "refresh_rotated"


def test_tokens_that_follow_from_each_other_are_all_different(product, customer: Person, clock) -> None:
    seen = [customer.refresh_token]
    for _ in range(5):
        seen.append(refresh(product, seen[-1]).json()["refresh_token"])

    assert len(set(seen)) == 6
    assert {len(token) for token in seen} == {len(customer.refresh_token)}


@pytest.mark.parametrize("status", ["deleted", "disabled"])
def test_a_banned_or_deleted_person_is_refused_by_token_and_cookie(product, customer: Person, status: str) -> None:
    User.objects.filter(pk=customer.user.pk).update(status=status)

    assert refresh(product, customer.refresh_token).status_code == 401
    product.cookies["saas_session"] = customer.cookie_key
    assert me(product) == 401


def test_refreshing_for_somebody_whose_account_is_gone_is_refused(product, customer: Person) -> None:
    User.objects.filter(pk=customer.user.pk).delete()

    answer = refresh(product, customer.refresh_token)

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_refresh_token")
    assert me(product, customer.token) == 401


def test_logging_out_everywhere_kills_what_was_issued_in_the_same_second(product, customer: Person) -> None:
    twin = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD}).json()
    cookie = product.cookies["saas_session"].value
    product.cookies.clear()

    assert product.post("/api/auth/logout-all", token=customer.token).status_code == 204

    assert {me(product, customer.token), me(product, twin["access_token"])} == {401}
    assert {refresh(product, token).status_code for token in (customer.refresh_token, twin["refresh_token"])} == {401}
    product.cookies["saas_session"] = cookie
    assert me(product) == 401
    assert AuditEvent.objects.get(action="session.closed_all").target == customer.user.id


@pytest.mark.parametrize("planted", ["chosenbyattacker", "a" * 43])
def test_a_cookie_that_was_planted_before_the_login_is_replaced(product, customer: Person, planted: str) -> None:
    product.cookies["saas_session"] = planted

    answer = product.post("/api/auth/login", {"email": customer.user.email, "password": PASSWORD})

    assert answer.cookies["saas_session"].value != planted
    product.cookies["saas_session"] = planted
    assert me(product) == 401


@pytest.mark.parametrize("service_name", ["product", "parity"])
def test_a_banned_person_is_out_in_both_services_by_every_way(service, customer: Person, service_name: str) -> None:
    client = service(service_name)
    staff_administration.ban_user(customer.user, by=user_factories.create_staff_member().user, reason="fraud")

    assert client.get("/api/auth/me", token=customer.token).status_code == 401
    client.cookies["saas_session"] = customer.cookie_key
    assert client.get("/api/auth/me").status_code == 401
    assert refresh(service("product"), customer.refresh_token).status_code == 401


def together(count: int, call: Any) -> list[Any]:
    """What ``count`` calls at the same moment answer."""
    answers: list[Any] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(timeout=10)
        answers.append(call(number))
        connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_eight_exchanges_of_one_refresh_token_one_wins(service) -> None:
    """The others are told what it won."""
    person = user_factories.create_customer()
    token = person.refresh_token
    for _ in range(20):
        answers = together(8, partial(_refreshed, service, token))

        assert [status for status, _ in answers] == [200] * 8
        (token,) = {body["refresh_token"] for _, body in answers}
    assert RefreshToken.objects.count() == 21
    assert LoginSession.objects.get().revoked_at is None


def _refreshed(service: Any, token: str, number: int) -> tuple[int, Any]:
    answer = refresh(service("product"), token)
    return int(answer.status_code), answer.json()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_twenty_registrations_of_one_address_one_wins(service) -> None:
    body = {"email": "kim@example.org", "password": PASSWORD}

    statuses = together(20, lambda _: int(service("product").post("/api/auth/register", body).status_code))

    assert statuses.count(201) == 1
    assert statuses.count(409) == 19
    assert User.objects.count() == Mail.objects.filter(template="welcome").count() == 1


def test_auth_time_tells_the_last_authentication_not_the_last_refresh(product: ServiceClient, clock) -> None:
    login = product.post(
        "/api/auth/login", {"email": user_factories.create_customer().user.email, "password": PASSWORD}
    )
    clock.move_to(NOW + timedelta(minutes=7))
    refreshed = refresh(product, login.json()["refresh_token"]).json()
    proven = product.post("/api/auth/reauthenticate", {"current_password": PASSWORD}, token=refreshed["access_token"])
    clock.move_to(NOW + timedelta(minutes=12))
    later = refresh(product, refreshed["refresh_token"]).json()

    assert proven.status_code == 204, proven.content
    assert _auth_time(login.json()["access_token"]) == NOW
    assert _auth_time(refreshed["access_token"]) == NOW
    assert _auth_time(later["access_token"]) == NOW + timedelta(minutes=7)


def _auth_time(token: str) -> datetime:
    claims = jwt.decode(token, options={"verify_signature": False})
    return datetime.fromtimestamp(claims["auth_time"], UTC)
