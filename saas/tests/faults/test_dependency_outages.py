"""Requests while PostgreSQL or Redis is refused, unresponsive, slow, killed, restarted or full, and afterwards.

They are refused as decided, never a crash, and work again without a restart of ours. (T70 to T77; figures: reliability.md.)
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from saas.testing.servers.fault_proxy import Mode
from saas.testing.servers.stack import eventually
from saas.tests.faults.deliveries import percentile
from saas.tests.faults.harness import DATABASE, assert_retry_later

pytestmark = [pytest.mark.slow, pytest.mark.faults]

OUTAGES = [Mode.REFUSE, Mode.RESET, Mode.BLACK_HOLE, Mode.SLOW]
UNREACHABLE = [Mode.REFUSE, Mode.BLACK_HOLE]


def name(mode):
    return mode.value


def create_team(harness, person):
    return harness.product.call("POST", "/api/teams", {"name": "Team"}, token=person["access_token"])


# ── Redis ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", OUTAGES, ids=name)
def test_without_redis_customers_log_in_work_and_log_out(harness, customer, mode, record_property):
    harness.cache.mode = mode

    started = time.monotonic()
    login = harness.log_in(customer["email"])
    token = login.json()["access_token"]
    by_cookie = harness.product.call(
        "GET", "/api/auth/me", headers={"Cookie": f"__Host-saas_session={login.cookies['__Host-saas_session']}"}
    )
    logout = harness.product.call("POST", "/api/auth/logout", token=token)
    record_property("all three, seconds", time.monotonic() - started)

    assert (login.status_code, by_cookie.status_code, logout.status_code) == (200, 200, 204)
    started = time.monotonic()
    harness.restore()
    record_property("well again after, seconds", time.monotonic() - started)
    assert harness.get_me(token).status_code == 401
    assert harness.get_me(customer["access_token"]).status_code == 200


def test_without_redis_limits_hold_or_the_request_is_refused(harness, customer):
    team = create_team(harness, customer).json()["team"]["id"]
    harness.cache.mode = Mode.REFUSE

    guesses = [harness.log_in(f"unknown{n}@example.net", address="203.0.113.7").status_code for n in range(20)]
    invitation = harness.product.call(
        "POST",
        f"/api/teams/{team}/invitations",
        {"email": "ola@example.net", "role": "member"},
        token=customer["access_token"],
    )

    assert guesses[0] == 401
    assert guesses.count(429) >= 4  # each of two processes allows a quarter of 30: 7
    assert invitation.status_code == 503
    harness.restore()
    eventually(lambda: _invited(harness, customer, team) != 503, 10)


def _invited(harness, customer, team):
    body = {"email": "ola@example.net", "role": "member"}
    path = f"/api/teams/{team}/invitations"
    return harness.product.call("POST", path, body, token=customer["access_token"]).status_code


def test_a_flush_or_a_restart_of_redis_revives_nothing(harness):
    other = harness.register()
    assert harness.product.call("POST", "/api/auth/logout", token=other["access_token"]).status_code == 204
    failures = [harness.log_in(other["email"], "a wrong password").status_code for _ in range(5)]

    harness.redis.client.flushall()
    flushed = harness.log_in(other["email"], "a wrong password")
    harness.redis.kill()
    harness.redis.start()

    assert failures == [401] * 5
    assert flushed.status_code == 429
    assert harness.get_me(other["access_token"]).status_code == 401
    assert harness.log_in(other["email"]).status_code == 429


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", UNREACHABLE, ids=name)
def test_without_the_database_the_service_is_live_but_not_ready(harness, customer, mode):
    harness.database.mode = mode

    me = harness.get_me(customer["access_token"])
    login = harness.log_in(customer["email"])
    live = harness.product.call("GET", "/health")

    assert_retry_later(me)
    assert_retry_later(login)
    assert live.status_code == 200
    eventually(lambda: is_unavailable(harness), 10)
    harness.database.mode = Mode.UP
    eventually(lambda: harness.get_me(customer["access_token"]).status_code == 200, 10)


def is_unavailable(harness):
    ready = harness.product.call("GET", "/health/ready")
    return (ready.status_code, ready.json()["status"]) == (503, "unavailable")


def test_sessions_that_the_database_ended_while_idle_are_not_noticed(harness, customer):
    assert {harness.get_me(customer["access_token"]).status_code for _ in range(4)} == {200}

    assert harness.postgres.terminate_other_sessions(DATABASE) >= 1

    assert [harness.get_me(customer["access_token"]).status_code for _ in range(10)] == [200] * 10


def test_a_restart_of_the_database_needs_none_of_ours(harness, customer):
    harness.postgres.stop("immediate")
    assert_retry_later(harness.get_me(customer["access_token"]))

    harness.postgres.start()

    eventually(lambda: harness.get_me(customer["access_token"]).status_code == 200, 10)


def test_a_request_whose_session_is_killed_is_not_done_twice(harness, customer):
    with harness.postgres.connect(DATABASE) as owner, ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("LOCK TABLE teams_team IN ACCESS EXCLUSIVE MODE")
        asked = pool.submit(create_team, harness, customer)
        eventually(harness.waits_for_a_lock, 5)
        harness.postgres.terminate_other_sessions(DATABASE, but=owner)

        assert_retry_later(asked.result())

    assert (
        harness.postgres.fetch_value(
            DATABASE, "SELECT count(*) FROM teams_team WHERE created_at > now() - interval '3 seconds'"
        )
        == 0
    )


def test_a_locked_row_is_waited_for_a_second_and_blocks_no_other(harness, customer):
    with harness.postgres.connect(DATABASE) as owner, ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("SELECT * FROM accounts_profile FOR UPDATE")
        asked = pool.submit(harness.put_profile, customer)
        eventually(harness.waits_for_a_lock, 5)

        assert harness.get_me(customer["access_token"]).status_code == 200
        assert_retry_later(asked.result())


SLOW_UPDATES = """
CREATE FUNCTION slow_update() RETURNS trigger AS 'BEGIN PERFORM pg_sleep(20); RETURN NEW; END' LANGUAGE plpgsql;
CREATE TRIGGER slow_updates BEFORE UPDATE ON accounts_profile FOR EACH ROW EXECUTE FUNCTION slow_update()
"""


@contextmanager
def slow_updates(owner):
    owner.execute(SLOW_UPDATES)
    try:
        yield
    finally:
        owner.execute("DROP FUNCTION slow_update() CASCADE")


@contextmanager
def locked(owner):
    with owner.transaction():
        owner.execute("SELECT * FROM accounts_profile FOR UPDATE")
        yield


@pytest.mark.parametrize("trouble", [locked, slow_updates])
def test_the_others_are_answered_while_one_waits_again_and_again(harness, customer, trouble, record_property):
    quiet = p95_of_me(harness, customer, until=lambda asked: asked == 60)
    with harness.postgres.connect(DATABASE) as owner, ThreadPoolExecutor(1) as pool, trouble(owner):
        waiting = pool.submit(lambda: [harness.put_profile(customer).status_code for _ in range(4)])
        during = p95_of_me(harness, customer, until=lambda _: waiting.done())
        assert waiting.result() == [503] * 4

    record_property("p95 of me, quiet and during", f"{quiet * 1000:.1f} ms, {during * 1000:.1f} ms")


def p95_of_me(harness, person, until):
    """Return the 95th percentile in seconds; each request succeeds."""
    took = []
    while not until(len(took)):
        started = time.monotonic()
        assert harness.get_me(person["access_token"]).status_code == 200
        took.append(time.monotonic() - started)
        time.sleep(0.05)  # 600 a minute are allowed
    return percentile(took, 95)


def test_a_statement_that_takes_too_long_is_cancelled(harness, customer):
    with harness.postgres.connect(DATABASE) as owner, slow_updates(owner):
        answer = harness.put_profile(customer, "never written")

    assert_retry_later(answer)
    assert (
        harness.postgres.fetch_value(
            DATABASE, "SELECT count(*) FROM accounts_profile WHERE biography = 'never written'"
        )
        == 0
    )


def test_an_exhausted_pool_answers_503_with_retry_after(harness, customer):
    """Two processes have two connections each, and twenty requests wait for one row."""
    with harness.postgres.connect(DATABASE) as owner, ThreadPoolExecutor(20) as pool, owner.transaction():
        owner.execute("SELECT * FROM accounts_profile FOR UPDATE")
        asked = [pool.submit(harness.put_profile, customer) for _ in range(20)]
        answers = [one.result() for one in asked]

    for answer in answers:
        assert_retry_later(answer)
    assert harness.put_profile(customer).status_code == 200


def _has_none_left(harness, sessions, customer):
    """The service may have opened sessions first, for a probe: then they are terminated and taken, too."""
    if {harness.get_me(customer["access_token"]).status_code for _ in range(6)} == {503}:  # each of the two processes
        return True
    ours = [session.info.backend_pid for session in sessions]
    sessions[0].execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND NOT pid = ANY(%s)",
        [DATABASE, ours],
    )
    sessions += harness.postgres.exhaust_connections(DATABASE)
    return False


def test_postgresql_out_of_connections_answers_503_with_retry_after(harness, customer):
    sessions = []
    try:
        harness.postgres.terminate_other_sessions(DATABASE)
        sessions = harness.postgres.exhaust_connections(DATABASE)
        eventually(lambda: _has_none_left(harness, sessions, customer), 60)
        assert_retry_later(harness.get_me(customer["access_token"]))
    finally:
        for session in sessions:
            session.close()

    eventually(lambda: harness.get_me(customer["access_token"]).status_code == 200, 10)


# ── The broker ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def background(shared_harness):
    shared_harness.restore()
    shared_harness.start_background_processes()


@pytest.mark.parametrize("mode", UNREACHABLE, ids=name)
def test_mail_queued_without_the_broker_is_sent_once_it_is_back(harness, background, mode):
    harness.broker.mode = mode
    other = harness.register()
    forgot = harness.product.call("POST", "/api/auth/password/forgot", {"email": other["email"]})
    before = harness.mailbox.subjects(other["email"])

    harness.broker.mode = Mode.UP
    eventually(lambda: len(harness.mailbox.subjects(other["email"])) >= 2, 60)

    assert forgot.status_code == 202
    assert len(before) < 2
    eventually(
        lambda: (
            not harness.postgres.fetch_value(
                DATABASE, "SELECT count(*) FROM mail_mail WHERE status IN ('queued', 'sending')"
            )
        ),
        30,
    )
    subjects = harness.mailbox.subjects(other["email"])
    assert sorted(set(subjects)) == sorted(subjects)
