"""The next value of every secret is accepted, signs, and is taken back, under traffic, and no request fails."""

import secrets

import pytest

from saas.accounts.sessions import signing_keys
from saas.testing.servers.production import Server
from saas.testing.servers.stack import eventually
from saas.tests.faults.test_rolling_deploy import ROOMY, Balancer, Traffic, replace

pytestmark = [pytest.mark.slow, pytest.mark.faults]

RANDOM = ("SECRET_KEY", "SAAS_AUTH_PEPPER", "SAAS_SESSION_SECRET", "SAAS_MFA_KEY")
KEYS = ("JWT_SIGNING_KEY", "JWT_STAFF_SIGNING_KEY")


def two_phases(present, folder):
    """The environments of the first phases: the next value is accepted, the next value signs."""
    following = {name: secrets.token_urlsafe(48) for name in RANDOM} | {
        name: signing_keys.generate_pem() for name in KEYS
    }
    files = {}
    for name in KEYS:
        for label, pem in (("present", present[name].strip('"').replace("\\n", "\n")), ("next", following[name])):
            files[name, label] = folder / f"{name}.{label}.pem"
            files[name, label].write_text(pem)
    accepted = {f"{name}_FALLBACKS": following[name] for name in RANDOM}
    accepted |= {f"{name}_FALLBACKS": str(files[name, "next"]) for name in KEYS}
    signs = {**following, **{f"{name}_FALLBACKS": present[name] for name in RANDOM}}
    signs |= {f"{name}_FALLBACKS": str(files[name, "present"]) for name in KEYS}
    return {**present, **accepted}, {**present, **signs}


def test_secrets_are_replaced_and_taken_back_under_traffic(harness, record_property):
    accepted, signs = two_phases({**harness.environment, **ROOMY}, harness.folder)
    started = [Server("product", {**harness.environment, **ROOMY}, harness.folder / "present.log")]
    started[0].wait_until_ready()
    balancer = Balancer(started[0])
    traffic = [Traffic(balancer, harness) for _ in range(2)]
    try:
        for number, environment in enumerate([accepted, signs, accepted], 1):
            seen = [one.answers for one in traffic]
            eventually(
                lambda seen=seen: all(one.answers > before + 12 for one, before in zip(traffic, seen, strict=True)), 30
            )
            started.append(Server("product", environment, harness.folder / f"phase-{number}.log"))
            replace(balancer, started[-2], started[-1])
        seen = traffic[0].answers
        eventually(lambda: traffic[0].answers > seen + 12, 30)
    finally:
        for one in [*traffic, balancer]:
            one.close()
        for one in started:
            one.kill()

    record_property("requests during the rotation", sum(one.answers for one in traffic))
    assert [failure for one in traffic for failure in one.failures] == []
