"""Rate limits, with the shared counter there and away."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connections
from django.test import override_settings
from django.utils import timezone

from saas.accounts.models import ResetRequest, User
from saas.api import rate_limits
from saas.api.rate_limits import LocalRateCounter
from saas.teams.models import Invitation
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import create_team, with_verified_email


@pytest.fixture(autouse=True)
def _one_window() -> Iterator[None]:
    """A window that ended in the middle of a test would forgive what the test counts."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


def body(number: int) -> dict[str, str]:
    """Another account each time: the failures of one are counted elsewhere."""
    return {"email": f"nobody{number}@example.net", "password": "not the password"}


@override_settings(RATE_LIMIT_SCALE=1)
def test_the_thirty_first_login_of_a_minute_is_refused(product: ServiceClient) -> None:
    allowed = [product.post("/api/auth/login", body(number)).status_code for number in range(30)]
    refused = product.post("/api/auth/login", body(30))

    assert set(allowed) == {401}
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"login";r=0;t=')
    assert refused.headers["RateLimit-Policy"] == '"login";q=30;w=60'


@override_settings(RATE_LIMIT_SCALE=1)
def test_another_address_has_its_own_bucket(product: ServiceClient) -> None:
    for number in range(31):
        product.post("/api/auth/login", body(number))

    product.defaults["REMOTE_ADDR"] = "203.0.113.7"

    assert product.post("/api/auth/login", body(31)).status_code == 401


@override_settings(RATE_LIMIT_SCALE=1)
def test_a_refused_registration_creates_nobody(product: ServiceClient) -> None:
    for number in range(6):
        answer = product.post(
            "/api/auth/register", {"email": f"p{number}@example.net", "password": "a fine long phrase"}
        )

    assert answer.status_code == 429
    assert User.objects.count() == 5


@pytest.fixture
def redis_is_away(settings, monkeypatch):
    monkeypatch.setattr(rate_limits, "_redis_breaker", rate_limits.CircuitBreaker(5.0))
    monkeypatch.setattr(rate_limits, "_local_counter", LocalRateCounter())
    settings.CACHES = {
        **settings.CACHES,
        "limits": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",  # nobody listens there
            "OPTIONS": {"socket_connect_timeout": 0.25},
        },
    }


@override_settings(RATE_LIMIT_SCALE=1)
@pytest.mark.usefixtures("redis_is_away")
def test_without_redis_a_process_counts_alone_to_a_quarter(product: ServiceClient) -> None:
    answers = [product.post("/api/auth/login", body(number)).status_code for number in range(8)]

    assert answers == [401] * 7 + [429]


@override_settings(RATE_LIMIT_SCALE=1)
@pytest.mark.usefixtures("redis_is_away")
def test_without_redis_a_limit_too_small_to_quarter_still_allows_one(product: ServiceClient, db) -> None:
    body = {"email": "kim@example.net", "password": "a fine long phrase"}

    answers = [product.post("/api/auth/register", body).status_code for _ in range(2)]

    assert answers == [201, 429]  # one account may be asked for three times an hour


@pytest.mark.usefixtures("redis_is_away")
def test_without_redis_refreshing_goes_on(product: ServiceClient, customer) -> None:
    assert product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token}).status_code == 200


@pytest.mark.usefixtures("redis_is_away")
def test_without_redis_a_limit_that_fails_closed_refuses(product, customer) -> None:
    team = create_team(with_verified_email(customer))

    answer = product.post(f"/api/teams/{team.pk}/invitations", {"email": "e@f.example"}, token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert not Invitation.objects.exists()


@pytest.mark.usefixtures("redis_is_away")
def test_without_redis_who_is_logged_in_notices_nothing(product, customer) -> None:
    assert product.get("/api/auth/me", token=customer.token).status_code == 200
    assert product.patch("/api/users/profile", {"display_name": "K"}, token=customer.token).status_code == 200


@pytest.mark.usefixtures("redis_is_away")
def test_after_one_failure_nobody_asks_redis_for_five_seconds(product, db, monkeypatch) -> None:
    asked, now, really = [], [0.0], rate_limits._count_shared
    monkeypatch.setattr(rate_limits, "_redis_breaker", rate_limits.CircuitBreaker(5.0, clock=lambda: now[0]))
    monkeypatch.setattr(rate_limits, "_count_shared", lambda *given: asked.append(now[0]) or really(*given))

    for now[0] in (0.0, 1.0, 4.9, 5.0, 9.9, 10.0):
        product.post("/api/auth/login", body(int(now[0])))

    assert asked == [0.0, 5.0, 10.0]


@pytest.mark.usefixtures("redis_is_away")
def test_a_limit_that_could_not_be_counted_together_is_in_the_metrics(product, customer) -> None:
    product.post("/api/auth/refresh", {"refresh_token": customer.refresh_token})

    assert 'rate_limit_counter_away_total{scope="refresh"}' in product.get("/metrics").content.decode()


def test_of_many_threads_a_process_counts_each() -> None:
    buckets = LocalRateCounter()

    with ThreadPoolExecutor(8) as pool:
        counts = sorted(count for count, _ in pool.map(lambda _: buckets.add("key", 60), range(800)))

    assert counts == list(range(1, 801))


def test_a_local_window_ends_and_begins_anew() -> None:
    now = 0.0
    buckets = LocalRateCounter(clock=lambda: now)

    assert buckets.add("key", 60) == (1, 60)
    assert buckets.add("key", 60) == (2, 60)
    now = 60.0
    assert buckets.add("key", 60) == (1, 60)


def test_beyond_its_bound_a_process_drops_the_window_used_longest_ago(monkeypatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_LOCAL_KEYS", 2)
    buckets = LocalRateCounter(clock=lambda: 0.0)

    counts = [buckets.add(key, 60)[0] for key in ("a", "b", "b", "a", "c", "a", "b")]

    assert counts == [1, 1, 2, 2, 1, 3, 1]


@override_settings(RATE_LIMIT_SCALE=1)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/auth/email/verify", {}),
        ("/api/auth/password/reset", {"new_password": "a fine long phrase"}),
        ("/api/auth/deletion/cancel", {}),
    ],
)
def test_one_mailed_link_is_tried_five_times_from_whatever_address(
    product, db, path: str, body: dict[str, str]
) -> None:
    def attempt(number: int, token: str) -> int:
        product.defaults["REMOTE_ADDR"] = f"203.0.113.{number}"
        return int(product.post(path, {**body, "token": token}).status_code)

    assert [attempt(number, "guess") for number in range(6)] == [400] * 5 + [429]
    assert attempt(6, "another") == 400


@override_settings(RATE_LIMIT_SCALE=1)
def test_one_login_is_refreshed_ten_times_a_minute(product, customer, other) -> None:
    token, statuses = customer.refresh_token, []
    for number in range(11):
        product.defaults["REMOTE_ADDR"] = f"203.0.113.{number}"
        answer = product.post("/api/auth/refresh", {"refresh_token": token})
        statuses.append(answer.status_code)
        token = answer.json().get("refresh_token", token)

    assert statuses == [200] * 10 + [429]
    assert product.post("/api/auth/refresh", {"refresh_token": other.refresh_token}).status_code == 200


@override_settings(RATE_LIMIT_SCALE=1)
def test_limits_by_user_are_independent_of_the_address(product, customer, other) -> None:
    def again(token: str, address: str) -> int:
        product.defaults["REMOTE_ADDR"] = address
        return int(product.post("/api/auth/email/resend", token=token).status_code)

    assert [again(customer.token, "203.0.113.1") for _ in range(6)] == [202] * 5 + [429]
    assert again(customer.token, "203.0.113.2") == 429
    assert again(other.token, "203.0.113.1") == 202


@override_settings(RATE_LIMIT_SCALE=1)
def test_the_next_window_lets_through_again(product, db) -> None:
    for number in range(31):
        product.post("/api/auth/login", body(number))

    with time_machine.travel(timezone.now() + timedelta(minutes=1, seconds=1), tick=False):
        assert product.post("/api/auth/login", body(32)).status_code == 401


@override_settings(RATE_LIMIT_SCALE=1)
def test_an_ipv6_network_has_one_bucket(product, db) -> None:
    statuses = []
    for number in range(31):
        product.defaults["REMOTE_ADDR"] = f"2001:db8:0:1::{number:x}"
        statuses.append(product.post("/api/auth/login", body(number)).status_code)

    assert statuses == [401] * 30 + [429]


@override_settings(RATE_LIMIT_SCALE=1)
@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_of_forty_requests_at_once_exactly_as_many_pass_as_may(service) -> None:
    def forget(number: int) -> int:
        answer = service("product").post("/api/auth/password/forgot", {"email": f"p{number}@example.net"})
        connections.close_all()
        return int(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(forget, range(40)))

    assert statuses == [202] * 20 + [429] * 20
    assert ResetRequest.objects.count() == 20
