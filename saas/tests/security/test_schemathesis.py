"""Requests generated from each service's own schema, alone and in chains: every answer fits the schema, none is a 5xx, and
none is for an actor without permission. (T58)

A longer run: ``SCHEMATHESIS_EXAMPLES=100 python3 manage.py test -m long saas/tests/security/test_schemathesis.py``.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from saas.testing.clients import ServiceClient
from saas.testing.openapi import SERVICES, openapi_document
from saas.testing.servers.in_process import serve_in_test_transaction
from saas.tests.security import tenant_scenario
from saas.tests.security.fuzzing import Identities, fuzz, fuzz_call_chains, only_paths

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        find_spec("schemathesis") is None, reason="needs schemathesis: pip install -r .ci/requirements.txt"
    ),
]

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "2"))
ACTORS = {
    "product": ["anonymous", "member", "owner"],
    "parity": ["anonymous", "owner"],
    "admin_ops": ["anonymous", "staff:admin"],
    "webhooks": ["anonymous", "staff:admin"],
}
CASES = [(service, actor) for service, actors in ACTORS.items() for actor in actors]
PEERS = {"owner": ("owner", "stranger")}  # neither may read the other's objects
ENDS_THE_ACTOR = re.compile(r"logout|sessions|password/change|users/me$")
WHO_AM_I = {
    "product": "/api/auth/me",
    "parity": "/auth/me",
    "admin_ops": "/api/admin/auth/me",
    "webhooks": "/api/webhooks/stats",
}
ALL_PHASES = {"examples", "coverage", "fuzzing", "stateful"}
TEAMS = re.compile(
    r"^/api/teams(/\{team_id\}(/members(/\{user_id\})?|/invitations(/\{[a-z_]+\})?|/api-keys(/\{[a-z_]+\})?)?)?$"
)
UNLINKED = {"parity"}  # no answer of it names an object that another operation takes
assert set(ACTORS) == set(SERVICES)


@pytest.mark.parametrize(("service", "actor"), CASES)
def test_every_answer_is_what_the_schema_says(
    service: str, actor: str, db: None, settings: Any, tmp_path: Path
) -> None:
    settings.RATE_LIMIT_SCALE = 1_000_000
    settings.WEBHOOKS_OPEN_OPERATOR_API = False  # a local client is anonymous
    tokens = tenant_scenario.build_scenario().tokens
    auth = Identities(tokens, actor, PEERS.get(actor, ())).config(tmp_path)
    described = only_paths(openapi_document(service), lambda path: not (auth and ENDS_THE_ACTOR.search(path)))

    with serve_in_test_transaction(service) as address:
        run = fuzz(described, address=address, auth=auth, examples=EXAMPLES)

    assert run.failures == []
    assert {phase for phase, ended in run.phases.items() if ended == "success"} >= expected_phases(service)
    assert (run.links > 0) == (service not in UNLINKED)
    assert not tokens[actor] or ServiceClient(service).get(WHO_AM_I[service], token=tokens[actor]).status_code == 200


def expected_phases(service: str) -> set[str]:
    return ALL_PHASES - ({"stateful"} if service in UNLINKED else set())


def test_what_was_deleted_is_gone_for_every_other_operation(db: None, settings: Any, tmp_path: Path) -> None:
    settings.RATE_LIMIT_SCALE = 1_000_000
    auth = Identities(tenant_scenario.build_scenario().tokens, "owner").config(tmp_path)
    teams = only_paths(openapi_document("product"), TEAMS.search)

    with serve_in_test_transaction("product") as address:
        run = fuzz_call_chains(teams, address=address, auth=auth, examples=10 * EXAMPLES)

    assert run.failures == []
    assert run.phases["stateful"] == "success"
