"""Reads that may be seconds old come from a real replica (``DATABASE_REPLICA_URL``), all others from the primary."""

from itertools import count
from pathlib import Path

import pytest

from saas.testing.servers.engines import PrivatePostgres, PrivateRedis, PrivateReplica, missing_engines
from saas.testing.servers.production import Server, killed_on_exit, manage, production_environment
from saas.testing.servers.stack import eventually
from saas.tests.faults.harness import PASSWORD, assert_retry_later

pytestmark = [pytest.mark.slow, pytest.mark.faults]

NEW_TOKEN = "from saas.testing.factories import user_factories; print(user_factories.create_staff_member('{}').token)"
USERS, FIGURES, EXPORT = "/api/admin/users", "/api/admin/metrics/users", "/api/admin/audit/export?format=csv"
_numbers = count(1)


class System:
    def __init__(self, replica: PrivateReplica, environment: dict[str, str], folder: Path) -> None:
        self.replica, self.environment = replica, environment
        self.token = self.new_staff_token("sam@example.net")
        self.product, self.desk = (Server(name, environment, folder / name) for name in ("product", "admin_ops"))

    def new_staff_token(self, email: str) -> str:
        return manage(self.environment, "shell", "-v0", "-c", NEW_TOKEN.format(email)).strip()

    def register(self) -> tuple[str, str]:
        """Return the id and the token of a new customer."""
        body = {"email": f"kim{next(_numbers)}@example.com", "password": PASSWORD, "full_name": "Kim"}
        answer = self.product.call("POST", "/api/auth/register", body)
        assert answer.status_code == 201, answer.text
        return answer.json()["user"]["id"], answer.json()["access_token"]

    def ask(self, path: str):
        return self.desk.call("GET", path, token=self.token)


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    if missing := missing_engines():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("replica")
    with PrivatePostgres(is_durable=False) as primary, PrivateReplica(primary) as replica, PrivateRedis() as redis:
        urls = {"database": primary.url("postgres"), "redis": redis.url}
        more = {"DATABASE_REPLICA_URL": replica.url("postgres"), "SAAS_ENV": "test", "STAFF_MFA_REQUIRED": "false"}
        environment = production_environment(folder, **urls, **more)
        manage(environment, "migrate", "-v0")
        system = System(replica, environment, folder)
        with killed_on_exit(system.product, system.desk):
            system.product.wait_until_ready()
            system.desk.wait_until_ready()
            yield system


@pytest.fixture
def behind(system):
    system.replica.pause()
    yield system
    system.replica.resume()


def test_lists_figures_and_exports_come_from_the_replica(behind) -> None:
    before = behind.ask(FIGURES).json()["total_users"]
    user, _ = behind.register()

    assert user not in behind.ask(USERS).text
    assert behind.ask(FIGURES).json()["total_users"] == before
    assert user not in behind.ask(EXPORT).text
    behind.replica.resume()
    eventually(lambda: user in behind.ask(USERS).text, 10)
    assert behind.ask(FIGURES).json()["total_users"] == before + 1
    assert user in behind.ask(EXPORT).text


def test_whoever_has_just_registered_is_known_at_once(behind) -> None:
    user, token = behind.register()

    assert behind.product.call("GET", "/api/auth/me", token=token).status_code == 200
    assert behind.ask(f"{USERS}/{user}").status_code == 200
    assert behind.desk.call("PUT", f"{USERS}/{user}/ban", {"reason": "spam"}, token=behind.token).status_code == 200
    assert behind.product.call("GET", "/api/auth/me", token=token).status_code in {401, 403}


def test_staff_who_have_just_logged_out_read_nothing_from_it(behind) -> None:
    token = behind.new_staff_token("ann@example.net")
    behind.replica.resume()
    eventually(lambda: "ann@example.net" in behind.ask(USERS).text, 10)
    behind.replica.pause()

    assert behind.desk.call("POST", "/api/admin/auth/logout", token=token).status_code in {200, 204}

    assert behind.desk.call("GET", USERS, token=token).status_code == 401


def test_without_the_replica_only_what_reads_it_is_503(system) -> None:
    system.replica.stop("immediate")
    try:
        user, _ = system.register()
        eventually(lambda: system.desk.call("GET", "/health/ready").json()["status"] == "degraded", 20)
        assert_retry_later(system.ask(USERS))
        assert system.ask(f"{USERS}/{user}").status_code == 200
        assert system.desk.call("GET", "/health/ready").status_code == 200
    finally:
        system.replica.start()

    eventually(lambda: system.ask(USERS).status_code == 200, 30)
