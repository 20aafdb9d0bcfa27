"""The keys by which programs act for a team, over HTTP."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from saas.accounts.staff.staff_administration import ban_user
from saas.audit.models import AuditEvent
from saas.errors import NotFound
from saas.teams import actions, api_keys
from saas.teams.models import ApiKey, Membership, Team
from saas.teams.roles import Role, Scope
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)
from saas.testing.factories.user_factories import Person


@pytest.fixture
def owner(customer: Person) -> Person:
    return with_verified_email(customer)


@pytest.fixture
def team(owner: Person) -> Team:
    return create_team(owner)


def test_a_key_is_shown_once_and_kept_as_a_hash(product: ServiceClient, owner: Person, team: Team) -> None:
    path = f"/api/teams/{team.id}/api-keys"

    created = product.post(path, {"name": "CI", "scopes": ["read"], "expires_in_days": 30}, token=owner.token)
    listed = product.get(path, token=owner.token)

    assert created.status_code == 201
    secret, key = created.json()["secret"], created.json()["api_key"]
    assert set(key) == {
        "id", "name", "prefix", "scopes", "created_by", "created_by_email", "created_by_name",
        "created_at", "expires_at", "last_used_at",
    }  # fmt: skip
    assert key["id"].startswith("key_")
    assert secret.startswith(key["prefix"])
    assert (key["scopes"], key["last_used_at"], key["created_by"]) == (["read"], None, owner.user.id)
    assert listed.json() == {"api_keys": [key], "count": 1, "next": None}
    assert secret not in str(ApiKey.objects.values().get())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": "CI"}, "scopes"),
        ({"name": "CI", "scopes": []}, "scopes"),
        ({"name": "CI", "scopes": "read"}, "scopes"),
        ({"name": "CI", "scopes": ["admin"]}, "scopes.0"),
        ({"name": "CI", "scopes": ["read"], "expires_in_days": 0}, "expires_in_days"),
        ({"name": "CI", "scopes": ["read"], "expires_in_days": 366}, "expires_in_days"),
        ({"name": "CI", "scopes": ["read"], "expires_in_days": 10**4999}, "expires_in_days"),
    ],
)
def test_a_key_needs_a_name_scopes_and_an_end(
    product: ServiceClient, owner: Person, team: Team, body: dict, field: str
) -> None:
    if body.get("expires_in_days", 0) > 10**6:
        raw = b'{"name": "CI", "scopes": ["read"], "expires_in_days": 1' + b"0" * 4000 + b"}"
        answer = product.post(f"/api/teams/{team.id}/api-keys", raw=raw, token=owner.token)
    else:
        answer = product.post(f"/api/teams/{team.id}/api-keys", body, token=owner.token)

    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {field}
    assert not ApiKey.objects.exists()


def test_an_unverified_person_makes_no_key(product: ServiceClient, other: Person) -> None:
    team = create_team(other)

    answer = product.post(f"/api/teams/{team.id}/api-keys", {"name": "CI", "scopes": ["read"]}, token=other.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "email_not_verified")
    assert not ApiKey.objects.exists()


def test_a_free_team_has_one_key_not_counting_revoked_and_expired(
    product: ServiceClient, owner: Person, team: Team
) -> None:
    path, body = f"/api/teams/{team.id}/api-keys", {"name": "CI", "scopes": ["read"]}
    first = product.post(path, body, token=owner.token).json()["api_key"]

    full = product.post(path, body, token=owner.token)
    product.delete(f"{path}/{first['id']}", token=owner.token)
    free = product.post(path, body, token=owner.token)
    ApiKey.objects.current().update(expires_at=timezone.now())
    expired = product.post(path, body, token=owner.token)

    assert (full.status_code, full.json()["code"]) == (409, "api_key_limit")
    assert free.status_code == expired.status_code == 201


def test_a_key_reads_its_own_team_and_no_other(
    product: ServiceClient, owner: Person, team: Team, other: Person
) -> None:
    elsewhere = create_team(other)
    add_member(elsewhere, Role.ADMIN, owner)  # who made the key may read that one; the key may not
    _, secret = create_api_key(team, owner, Scope.READ)

    assert product.get(f"/api/teams/{team.id}", token=secret).status_code == 200
    assert product.get(f"/api/teams/{team.id}/members", token=secret).json()["count"] == 1
    assert [row["id"] for row in product.get("/api/teams", token=secret).json()["teams"]] == [team.id]
    assert product.get(f"/api/teams/{elsewhere.id}", token=secret).status_code == 404


def test_an_owner_reaches_no_key_of_another_team_through_her_own(
    product, owner: Person, team: Team, other: Person
) -> None:
    elsewhere = create_team(with_verified_email(other))
    add_member(elsewhere, Role.MEMBER, owner)
    theirs, _ = create_api_key(elsewhere, other)
    path = f"/api/teams/{team.id}/api-keys"

    assert product.delete(f"{path}/{theirs.id}", token=owner.token).status_code == 404
    assert product.get(path, token=owner.token).json()["count"] == 0
    product.cookies["saas_session"] = owner.cookie_key
    product.get("/api/auth/csrf")
    assert product.submit_form(f"/teams/{team.id}/api-keys/{theirs.id}", {}).status_code == 404
    assert ApiKey.objects.current().get() == theirs


def test_a_reading_key_writes_nothing(product: ServiceClient, owner: Person, team: Team) -> None:
    _, secret = create_api_key(team, owner, Scope.READ)

    renamed = product.patch(f"/api/teams/{team.id}", {"name": "Hers"}, token=secret)
    invited = product.post(f"/api/teams/{team.id}/invitations", {"email": "n@example.org"}, token=secret)

    assert renamed.status_code == invited.status_code == 403
    assert Team.objects.get().name == "Engineering"


def test_a_writing_key_manages_people_up_to_admins(product: ServiceClient, owner: Person, team: Team) -> None:
    member = add_member(team, Role.MEMBER)
    key, secret = create_api_key(team, owner, Scope.WRITE)
    path = f"/api/teams/{team.id}/members"

    promoted = product.patch(f"{path}/{member.user.id}", {"role": "admin"}, token=secret)
    crowned = product.patch(f"{path}/{member.user.id}", {"role": "owner"}, token=secret)
    deposed = product.delete(f"{path}/{owner.user.id}", token=secret)

    assert promoted.status_code == 200
    assert (crowned.status_code, crowned.json()["code"]) == (403, "role_above_own")
    assert (deposed.status_code, deposed.json()["code"]) == (403, "role_above_own")
    assert Membership.objects.get(user=member.user).role == "admin"
    assert AuditEvent.objects.get(action="membership.role_changed").actor == key.id


def test_a_key_never_touches_keys_ownership_or_the_team_itself(
    product: ServiceClient, owner: Person, team: Team
) -> None:
    key, secret = create_api_key(team, owner, Scope.READ, Scope.WRITE)
    path = f"/api/teams/{team.id}"

    answers = [
        product.get(f"{path}/api-keys", token=secret),
        product.post(f"{path}/api-keys", {"name": "x", "scopes": ["write"]}, token=secret),
        product.delete(f"{path}/api-keys/{key.id}", token=secret),
        product.post(f"{path}/transfer", {"user_id": owner.user.id}, token=secret),
        product.post(f"{path}/leave", token=secret),
        product.delete(path, token=secret),
        product.post("/api/teams", {"name": "x"}, token=secret),
    ]

    assert [answer.status_code for answer in answers] == [403] * 7
    assert ApiKey.objects.current().count() == Team.objects.live().count() == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/auth/me"),
        ("POST", "/api/auth/logout"),
        ("GET", "/api/auth/sessions"),
        ("GET", "/api/users/profile"),
        ("POST", "/api/invitations/accept"),
    ],
)
def test_a_key_is_no_token_anywhere_else(
    product: ServiceClient, owner: Person, team: Team, method: str, path: str
) -> None:
    _, secret = create_api_key(team, owner, Scope.WRITE)

    answer = product.send(method, path, {}, token=secret)

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


def test_making_and_revoking_a_key_are_audited_with_its_scopes(product, owner: Person, team: Team) -> None:
    path = f"/api/teams/{team.id}/api-keys"
    body = {"name": "CI", "scopes": ["write", "read"]}

    key = product.post(path, body, token=owner.token).json()["api_key"]
    product.delete(f"{path}/{key['id']}", token=owner.token)

    assert product.get(path, token=owner.token).json()["count"] == 0
    assert key["scopes"] == ["read", "write"]  # in one order, however they were sent
    events = AuditEvent.objects.for_target(team.id).filter(action__startswith="api_key.").order_by("pk")
    assert [(event.action, event.actor, event.data) for event in events] == [
        ("api_key.created", owner.user.id, {"key": key["id"], "scopes": "read write"}),
        ("api_key.revoked", owner.user.id, {"key": key["id"]}),
    ]


def _dead(product: ServiceClient, team: Team, secret: str) -> None:
    answer = product.get(f"/api/teams/{team.id}", token=secret)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_revoked_key_is_dead_at_once(product: ServiceClient, owner: Person, team: Team) -> None:
    key, secret = create_api_key(team, owner)

    assert product.delete(f"/api/teams/{team.id}/api-keys/{key.id}", token=owner.token).status_code == 204

    _dead(product, team, secret)
    assert product.delete(f"/api/teams/{team.id}/api-keys/{key.id}", token=owner.token).status_code == 404
    with pytest.raises(NotFound):  # also for a request that had found it before
        api_keys.revoke_api_key(actor_for(team, owner), key)


def test_an_expired_key_is_dead(product: ServiceClient, owner: Person, team: Team) -> None:
    key, secret = create_api_key(team, owner)
    assert key.expires_at - key.created_at == timedelta(days=30)

    with time_machine.travel(key.expires_at - timedelta(microseconds=1), tick=False):
        assert product.get(f"/api/teams/{team.id}", token=secret).status_code == 200
    with time_machine.travel(key.expires_at, tick=False):
        _dead(product, team, secret)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1],
        lambda s: s + "x",
        lambda s: s[:20] + "#" + s[21:],
        lambda s: "saas_",
        lambda s: "saas_" + "é" * 46,
    ],
)
def test_a_mistyped_key_is_refused_without_a_query(
    product: ServiceClient, owner: Person, team: Team, change, django_assert_num_queries
) -> None:
    _, secret = create_api_key(team, owner)

    with django_assert_num_queries(0):
        _dead(product, team, change(secret))


def test_a_key_dies_with_its_makers_right_to_make_it(product: ServiceClient, owner: Person, team: Team) -> None:
    admin = add_member(team, Role.ADMIN)
    _, secret = create_api_key(team, admin)

    actions.change_role(actor_for(team, owner), user_id=admin.user.id, role=Role.MEMBER)
    _dead(product, team, secret)
    actions.change_role(actor_for(team, owner), user_id=admin.user.id, role=Role.ADMIN)

    _dead(product, team, secret)


def test_a_key_stops_working_with_its_maker_or_team(
    product: ServiceClient, owner: Person, team: Team, staff_member: Person
) -> None:
    removed, banned = add_member(team, Role.ADMIN), add_member(team, Role.ADMIN)
    _, first = create_api_key(team, removed)
    actions.remove_member(actor_for(team, owner), user_id=removed.user.id)
    _, second = create_api_key(team, banned)
    ban_user(banned.user, by=staff_member.user, reason="fraud")

    _dead(product, team, first)
    _dead(product, team, second)
    ApiKey.objects.all().delete()
    _, third = create_api_key(team, owner)
    actions.delete_team(actor_for(team, owner))
    _dead(product, team, third)
    assert not ApiKey.objects.exists()


def test_last_used_is_written_once_a_minute(product: ServiceClient, owner: Person, team: Team) -> None:
    key, secret = create_api_key(team, owner)
    start = timezone.now()

    with time_machine.travel(start, tick=False) as clock:
        product.get("/api/teams", token=secret)
        key.refresh_from_db()
        assert key.last_used_at == start
        clock.shift(59)
        product.get("/api/teams", token=secret)
        key.refresh_from_db()
        assert key.last_used_at == start
        clock.shift(1)
        product.get("/api/teams", token=secret)
        key.refresh_from_db()
        assert key.last_used_at == start + timedelta(seconds=60)


def test_a_good_cookie_does_not_rescue_a_bad_key(product: ServiceClient, owner: Person) -> None:
    product.cookies["saas_session"] = owner.cookie_key

    answer = product.get("/api/teams", headers={"Authorization": "Bearer saas_nonsense"})

    assert answer.status_code == 401


def test_listing_keys_costs_four_queries(
    product: ServiceClient, owner: Person, team: Team, django_assert_num_queries
) -> None:
    create_api_key(team, owner)

    with django_assert_num_queries(4):  # session, membership, count, page
        assert product.get(f"/api/teams/{team.id}/api-keys", token=owner.token).json()["count"] == 1


@pytest.mark.parametrize("query", ["", "?team_id={team}"])
def test_a_key_reads_what_its_teams_plan_allows(product: ServiceClient, owner: Person, team: Team, query: str) -> None:
    query = query.format(team=team.id)
    _, raw = create_api_key(team, owner)
    product.post("/api/subscriptions/checkout", {"plan_id": "growth", "team_id": team.id}, token=owner.token)

    current = product.get(f"/api/subscriptions/current{query}", token=raw).json()["subscription"]
    limits = product.get(f"/api/billing/entitlements{query}", token=raw).json()["limits"]

    assert (current["status"], current["plan"]["id"]) == ("active", "growth")
    assert limits["seats"] == 25


def test_a_key_reads_nothing_of_its_makers_billing(product: ServiceClient, owner: Person, team: Team) -> None:
    other_team = Team.objects.create(name="Other", owner=owner.user)
    _, raw = create_api_key(team, owner)
    product.post("/api/subscriptions/checkout", {"plan_id": "growth", "team_id": team.id}, token=owner.token)

    answer = product.get(f"/api/billing/entitlements?team_id={other_team.id}", token=raw)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert product.get("/api/billing/invoices", token=raw).status_code == 401
