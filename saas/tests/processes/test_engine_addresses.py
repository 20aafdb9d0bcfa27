"""What the addresses of engines become, and which are refused at the start instead of failing at the first request."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.redis import RedisCache

from saas import env
from saas.celery import app
from saas.settings import engines


@pytest.fixture
def faults() -> Callable[[], list[str]]:
    env.collect_faults()
    return env.collect_faults


def database(url: str) -> dict[str, Any]:
    return engines.database_config(
        url, Path("/nowhere"), pool_size=8, may_prepare=True, statement_timeout_ms=3000, is_service=True
    )


BROKEN_BY_A_PASSWORD = [
    "redis://:hun#ter2@redis:6379/0",
    "redis://:1#hunter2@redis:6379/0",
    "redis://:hun/ter2@redis:6379/0",
    "redis://:1/hunter2@redis:6379/0",
    "redis://:hun?ter2@redis:6379/0",
    "redis://:hun[ter2@redis:6379/0",
]


@pytest.mark.parametrize("url", [*BROKEN_BY_A_PASSWORD, "redis://redis:port/0", "redis://redis/cache", "redis:6379"])
def test_a_redis_address_that_no_client_can_use_is_refused(url: str, faults: Callable[[], list[str]]) -> None:
    engines.cache_config(url, "")

    (fault,) = faults()
    assert fault.startswith("CACHE_URL must be redis://")
    assert "ter2" not in fault
    assert engines.is_broker(url) is False


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis",
        "redis://redis:6379/",
        "redis://redis:6379/15",
        "redis:///0",
        "rediss://user:p%23ss@redis:6380/0?ssl_ca_certs=/etc/ca.pem",
        "redis://[2001:db8::1]:6379/0",
    ],
)
def test_an_ordinary_redis_address_is_taken(url: str, faults: Callable[[], list[str]]) -> None:
    engines.cache_config(url, url)

    assert (faults(), engines.is_broker(url)) == ([], True)


@pytest.mark.parametrize("password", ["one,two", "one;two", "p@ss", "two words"])
def test_a_password_of_redis_may_hold_what_separates_servers(password: str) -> None:
    config = engines.cache_config(f"redis://:{password}@redis.internal:6379/3", "")["default"]

    pool = RedisCache(config["LOCATION"], config)._cache.get_client().connection_pool

    assert {name: pool.connection_kwargs[name] for name in ("host", "port", "db", "password")} == {
        "host": "redis.internal", "port": 6379, "db": 3, "password": password,
    }  # fmt: skip


@pytest.mark.parametrize("word", ["NONE", "OPTIONAL", "REQUIRED"])
def test_celerys_words_for_a_certificate_are_understood_by_the_cache_too(word: str) -> None:
    url = engines.with_redis_words(f"rediss://redis:6380/0?ssl_cert_reqs=CERT_{word}")
    config = engines.cache_config(url, "")["default"]

    connection = RedisCache(config["LOCATION"], config)._cache.get_client().connection_pool.make_connection()

    assert connection.cert_reqs == ssl.VerifyMode[f"CERT_{word}"]


@pytest.mark.parametrize(
    ("url", "can_be_used"),
    [
        ("redis://one:6379/1;redis://two:6379/1", True),
        ("amqps://one//;amqps://two//", True),
        ("redis://one:6379/1;redis://two:port/1", False),
        ("amqp://one:5672;amqp://two:port", False),
    ],
)
def test_all_of_several_brokers_are_looked_at(url: str, can_be_used: bool) -> None:
    assert engines.is_broker(url) is can_be_used


def test_of_several_brokers_each_may_have_a_certificate_of_its_own_name() -> None:
    assert engines.broker_tls("amqps://one//;amqps://two//") == {"cert_reqs": ssl.CERT_REQUIRED}
    assert engines.broker_tls("amqps://one//") == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}


# ── PostgreSQL ──


def test_parameters_of_the_databases_address_are_kept_beside_ours() -> None:
    options = database("postgres://u@db/saas?sslmode=verify-full&connect_timeout=9&options=-c%20search_path%3Dours")[
        "OPTIONS"
    ]

    assert (options["sslmode"], options["connect_timeout"], options["tcp_user_timeout"]) == ("verify-full", 9, 5000)
    assert options["options"].startswith("-c random_page_cost=1.1 -c statement_timeout=3000 ")
    assert options["options"].endswith(" -c search_path=ours")


def test_the_schema_of_the_databases_address_is_searched() -> None:
    options = database("postgres://u@db/saas?currentSchema=ours")["OPTIONS"]

    assert options["options"].endswith(" -c search_path=ours")


def test_an_idle_connection_is_kept_alive_before_a_balancer_forgets_it() -> None:
    options = database("postgres://u@db/saas")["OPTIONS"]

    assert (options["keepalives_idle"], options["keepalives_interval"], options["keepalives_count"]) == (60, 10, 3)


def test_a_replica_has_its_own_parameters_and_the_primarys_limits() -> None:
    primary = database("postgres://u@db/saas?sslmode=require")

    replica = engines.replica_config("postgres://u@replica/saas?sslmode=verify-full", primary)

    assert (replica["HOST"], replica["OPTIONS"]["sslmode"]) == ("replica", "verify-full")
    assert replica["OPTIONS"]["options"] == primary["OPTIONS"]["options"]
    assert replica["OPTIONS"]["pool"] is primary["OPTIONS"]["pool"]


@pytest.mark.parametrize("url", ["postgres://u:hun#ter2@db/saas", "postgres://u:1#hunter2@db/saas"])
def test_a_database_address_that_its_password_breaks_is_refused(url: str, faults: Callable[[], list[str]]) -> None:
    engines.replica_config(url, {"OPTIONS": {"pool": {}}})

    (fault,) = faults()
    assert fault.startswith("DATABASE_REPLICA_URL must be postgres://")
    assert "ter2" not in fault


@pytest.mark.parametrize("parameter", ["schema=public", "sslmod=require", "pool=true"])
def test_a_parameter_with_which_no_connection_is_made_is_refused(
    parameter: str, faults: Callable[[], list[str]]
) -> None:
    database(f"postgres://u@db/saas?{parameter}")

    assert faults() == ["DATABASE_URL has a parameter that PostgreSQL's client does not know."]


# ── Mail ──


@pytest.mark.parametrize(
    ("query", "port", "tls", "ssl"),
    [
        ("", 25, False, False),
        ("?tls=true", 25, True, False),
        ("?tls=True", 25, True, False),
        ("?tls=yes", 25, True, False),
        ("?tls=1&ssl=0", 25, True, False),
        ("?tls=off", 25, False, False),
        ("?ssl=on", 465, False, True),
        (":465", 465, False, True),
        (":465?tls=true", 465, False, True),
        (":587?tls=true", 587, True, False),
    ],
)
def test_mail_is_encrypted_however_it_is_said(query: str, port: int, tls: bool, ssl: bool) -> None:
    config = engines.email_config(f"smtp://mailer:p%40ss@mail.internal{query}")

    assert (config["EMAIL_PORT"], config["EMAIL_USE_TLS"], config["EMAIL_USE_SSL"]) == (port, tls, ssl)
    assert (config["EMAIL_HOST_USER"], config["EMAIL_HOST_PASSWORD"]) == ("mailer", "p@ss")
    assert config["EMAIL_BACKEND"] == "saas.mail.smtp.EmailBackend"


@pytest.mark.parametrize(
    "address",
    [
        "mail:587?starttls=true",
        "mail:587?tls=maybe",
        "mail:587?tls=",
        "mail:465?tls=true&ssl=true",
        "mail:smtp",
        "mailer:hun#ter2@mail:587",
        "mailer:hun/ter2@mail:587",
    ],
)
def test_a_mail_server_that_would_be_used_in_the_clear_is_refused(
    address: str, faults: Callable[[], list[str]]
) -> None:
    assert engines.email_config(f"smtp://{address}") == {}

    (fault,) = faults()
    assert fault.startswith("EMAIL_URL must be ")
    assert "ter2" not in fault


# ── Workers ──


@pytest.mark.parametrize(("processors", "processes"), [(1, 1), (4, 4), (64, 8)])
def test_a_worker_does_not_fill_a_large_machine_unasked(processors: int, processes: int) -> None:
    assert engines.worker_concurrency(processors) == processes
    assert app.conf.worker_concurrency <= 8
