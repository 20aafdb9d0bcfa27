"""Teams and their members, over HTTP."""

import pytest

from saas.accounts.staff.staff_administration import ban_user
from saas.audit.models import AuditEvent
from saas.billing.subscriptions import cancel_subscription
from saas.errors import Forbidden
from saas.teams import actions, invitations
from saas.teams.models import Membership, Team
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import actor_for, add_member, create_team
from saas.testing.factories.user_factories import Person


def test_founding_a_team_answers_with_it_and_its_founder_owns_it(product: ServiceClient, customer: Person) -> None:
    answer = product.post("/api/teams", {"name": "  Engineering "}, token=customer.token)

    assert answer.status_code == 201
    team = answer.json()["team"]
    assert set(team) == {"id", "name", "owner_user_id", "role", "metadata", "created_at"}
    assert team["id"].startswith("team_")
    assert (team["name"], team["owner_user_id"], team["role"]) == ("Engineering", customer.user.id, "owner")
    assert product.get("/api/teams", token=customer.token).json() == {"teams": [team], "count": 1, "next": None}
    assert AuditEvent.objects.for_target(team["id"]).get().action == "team.created"


def test_fields_that_nobody_asked_for_are_not_applied(product: ServiceClient, customer: Person, other: Person) -> None:
    body = {"name": "Engineering", "id": "team_x", "owner_user_id": other.user.id, "role": "viewer", "plan": "scale"}

    team = product.post("/api/teams", body, token=customer.token).json()["team"]

    assert team["id"] != "team_x"
    assert team["owner_user_id"] == customer.user.id
    assert Team.objects.get().owner == customer.user


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "two\nlines", "bell\x07", None, 5, True, ["a"], {"a": 1}])
def test_a_name_is_one_line_of_text(product: ServiceClient, customer: Person, name: object) -> None:
    answer = product.post("/api/teams", {"name": name}, token=customer.token)

    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"name"}
    assert not Team.objects.exists()


def test_without_a_subscription_there_is_one_team(product: ServiceClient, customer: Person) -> None:
    create_team(customer)

    answer = product.post("/api/teams", {"name": "Second"}, token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "team_limit")
    assert Team.objects.count() == 1


def test_the_place_of_a_deleted_team_is_free_again(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)

    assert product.delete(f"/api/teams/{team.id}", token=customer.token).status_code == 204

    assert product.get(f"/api/teams/{team.id}", token=customer.token).status_code == 404
    assert product.post("/api/teams", {"name": "Next"}, token=customer.token).status_code == 201


def test_a_team_that_is_paid_for_is_not_deleted(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    product.post("/api/subscriptions/checkout", {"plan_id": "starter", "team_id": team.id}, token=customer.token)

    answer = product.delete(f"/api/teams/{team.id}", token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "team_subscribed")
    assert product.get(f"/api/teams/{team.id}", token=customer.token).json()["seats"] == {"taken": 1, "limit": 5}
    cancel_subscription(team, at_period_end=False, reason="", by=customer.user)
    assert product.delete(f"/api/teams/{team.id}", token=customer.token).status_code == 204


def test_the_owners_own_plan_counts_for_her_teams(product: ServiceClient, customer: Person) -> None:
    product.post("/api/subscriptions/checkout", {"plan_id": "growth"}, token=customer.token)
    teams = [product.post("/api/teams", {"name": f"Team {n}"}, token=customer.token).json()["team"] for n in range(10)]

    full = product.post("/api/teams", {"name": "Team 11"}, token=customer.token)

    assert (full.status_code, full.json()["code"]) == (409, "team_limit")
    seats = product.get(f"/api/teams/{teams[0]['id']}", token=customer.token).json()["seats"]
    assert seats == {"taken": 1, "limit": 25}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/members"),
        ("PATCH", "/members/{owner}"),
        ("DELETE", "/members/{owner}"),
        ("POST", "/leave"),
        ("POST", "/transfer"),
        ("GET", "/invitations"),
        ("POST", "/invitations"),
        ("GET", "/api-keys"),
        ("POST", "/api-keys"),
    ],
)
def test_a_stranger_finds_nothing_anywhere(product, customer: Person, other: Person, method: str, path: str) -> None:
    address = f"/api/teams/{create_team(customer).id}{path.format(owner=customer.user.id)}"

    answer = product.send(method, address, {"name": "Mine"}, token=other.token)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert Team.objects.get().name == "Engineering"
    assert Membership.objects.count() == 1


def test_nobody_is_asked_for_a_body_before_the_right_is_clear(product: ServiceClient, customer: Person) -> None:
    viewer = add_member(create_team(customer), Role.VIEWER)
    team = Team.objects.get()

    answer = product.patch(f"/api/teams/{team.id}", raw=b"{broken", token=viewer.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_team_tells_how_many_seats_are_taken(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    invitations.invite(actor_for(team, customer), email="new@example.org", role=Role.MEMBER)

    answer = product.get(f"/api/teams/{team.id}", token=customer.token)

    assert answer.status_code == 200
    assert answer.json()["seats"] == {"taken": 2, "limit": 3}
    assert answer.json()["team"]["role"] == "owner"


def test_an_admin_renames_the_team(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    admin = add_member(team, Role.ADMIN)

    answer = product.patch(f"/api/teams/{team.id}", {"name": "Platform"}, token=admin.token)

    assert answer.status_code == 200
    assert answer.json()["team"]["name"] == "Platform"
    assert answer.json()["team"]["role"] == "admin"
    assert Team.objects.get().name == "Platform"


def test_members_are_listed_with_their_roles(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    viewer = add_member(team, Role.VIEWER)

    answer = product.get(f"/api/teams/{team.id}/members", token=viewer.token)

    members = answer.json()["members"]
    assert [(row["user_id"], row["role"]) for row in members] == [
        (viewer.user.id, "viewer"),
        (customer.user.id, "owner"),
    ]
    assert set(members[0]) == {"user_id", "email", "full_name", "role", "joined_at"}


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_nobody_raises_her_own_role(product: ServiceClient, customer: Person, role: str) -> None:
    team = create_team(customer)
    person = add_member(team, Role(role))

    path = f"/api/teams/{team.id}/members"
    answer = product.patch(f"{path}/{person.user.id}", {"role": "admin"}, token=person.token)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert Membership.objects.get(user=person.user).role == role
    unknown = [
        product.send(method, f"{path}/usr_x", {"role": "admin"}, token=person.token) for method in ("PATCH", "DELETE")
    ]
    assert [answer.status_code for answer in unknown] == [404] * 2


def test_an_admin_neither_makes_nor_touches_an_owner(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    admin, member = add_member(team, Role.ADMIN), add_member(team, Role.MEMBER)
    before = set(Membership.objects.values_list("user", "role"))
    path = f"/api/teams/{team.id}/members"

    answers = [
        product.patch(f"{path}/{member.user.id}", {"role": "owner"}, token=admin.token),
        product.patch(f"{path}/{admin.user.id}", {"role": "owner"}, token=admin.token),
        product.patch(f"{path}/{customer.user.id}", {"role": "member"}, token=admin.token),
        product.delete(f"{path}/{customer.user.id}", token=admin.token),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "role_above_own")] * 4
    assert set(Membership.objects.values_list("user", "role")) == before


def test_the_last_owner_neither_leaves_nor_is_demoted_nor_removed(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    create_team(other)  # an owner of another team is none of this one
    team = create_team(customer)
    add_member(team, Role.ADMIN)
    mine = f"/api/teams/{team.id}/members/{customer.user.id}"

    answers = [
        product.post(f"/api/teams/{team.id}/leave", token=customer.token),
        product.patch(mine, {"role": "admin"}, token=customer.token),
        product.delete(mine, token=customer.token),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "last_owner")] * 3
    assert Membership.objects.get(user=customer.user).role == "owner"


def test_a_banned_owner_does_not_count_as_one(
    product: ServiceClient, customer: Person, other: Person, staff_member: Person
) -> None:

    team = create_team(customer)
    add_member(team, Role.OWNER, other)
    ban_user(other.user, by=staff_member.user, reason="fraud")

    answer = product.post(f"/api/teams/{team.id}/leave", token=customer.token)

    assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")


def test_an_owner_who_leaves_takes_the_team_from_no_other_owner(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    team = create_team(customer)
    add_member(team, Role.OWNER, other)
    # not the owner who joined first: a team without an owner falls to that one
    answering = add_member(team, Role.OWNER).user
    Team.objects.update(owner=answering)

    assert product.post(f"/api/teams/{team.id}/leave", token=other.token).status_code == 204

    assert Team.objects.get().owner == answering


def test_when_the_owner_who_answers_for_the_team_leaves_another_does(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    team = create_team(customer)
    add_member(team, Role.OWNER, other)

    assert product.post(f"/api/teams/{team.id}/leave", token=customer.token).status_code == 204

    assert product.get(f"/api/teams/{team.id}", token=customer.token).status_code == 404
    assert product.get(f"/api/teams/{team.id}", token=other.token).json()["team"]["owner_user_id"] == other.user.id


def test_a_removed_member_finds_nothing_on_her_next_request(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    member = add_member(team, Role.MEMBER)
    assert product.get(f"/api/teams/{team.id}", token=member.token).status_code == 200

    removed = product.delete(f"/api/teams/{team.id}/members/{member.user.id}", token=customer.token)

    assert removed.status_code == 204
    assert product.get(f"/api/teams/{team.id}", token=member.token).status_code == 404
    assert product.get("/api/teams", token=member.token).json()["teams"] == []
    again = product.delete(f"/api/teams/{team.id}/members/{member.user.id}", token=customer.token)
    assert again.status_code == 404


def test_a_role_changes_at_once_and_the_same_role_changes_nothing(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    member = add_member(team, Role.MEMBER)
    path = f"/api/teams/{team.id}/members/{member.user.id}"

    first = product.patch(path, {"role": "admin"}, token=customer.token)
    product.patch(path, {"role": "admin"}, token=customer.token)

    assert first.status_code == 200
    assert first.json()["member"]["role"] == "admin"
    assert product.patch(f"/api/teams/{team.id}", {"name": "Hers"}, token=member.token).status_code == 200
    assert AuditEvent.objects.filter(action="membership.role_changed").count() == 1


def test_a_right_that_was_lost_since_the_request_came_is_not_used(customer: Person) -> None:
    team = create_team(customer)
    admin = add_member(team, Role.ADMIN)
    under_way = actor_for(team, admin)
    actions.change_role(actor_for(team, customer), user_id=admin.user.id, role=Role.VIEWER)

    with pytest.raises(Forbidden):
        actions.update_team(under_way, name="Mine")

    assert Team.objects.get().name == "Engineering"


@pytest.mark.parametrize("role", ["boss", "", None, 5, ["owner"], {"a": 1}])
def test_an_unknown_role_is_refused(product: ServiceClient, customer: Person, role: object) -> None:
    team = create_team(customer)
    member = add_member(team, Role.MEMBER)

    answer = product.patch(f"/api/teams/{team.id}/members/{member.user.id}", {"role": role}, token=customer.token)

    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"role"}


def test_transferring_makes_the_heir_the_owner_and_the_giver_an_admin(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    team = create_team(customer)
    add_member(team, Role.MEMBER, other)

    answer = product.post(f"/api/teams/{team.id}/transfer", {"user_id": other.user.id}, token=customer.token)

    assert answer.status_code == 200
    assert (answer.json()["team"]["owner_user_id"], answer.json()["team"]["role"]) == (other.user.id, "admin")
    assert dict(Membership.objects.values_list("user", "role")) == {other.user.id: "owner", customer.user.id: "admin"}


def test_a_transfer_needs_another_member_within_their_team_limit(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    team = create_team(customer)
    path = f"/api/teams/{team.id}/transfer"

    stranger = product.post(path, {"user_id": other.user.id}, token=customer.token)
    oneself = product.post(path, {"user_id": customer.user.id}, token=customer.token)
    create_team(other, "Hers")
    add_member(team, Role.MEMBER, other)
    full = product.post(path, {"user_id": other.user.id}, token=customer.token)

    assert stranger.status_code == 404
    assert (oneself.status_code, set(oneself.json()["errors"])) == (422, {"user_id"})
    assert (full.status_code, full.json()["code"]) == (409, "team_limit")
    assert Team.objects.get(pk=team.pk).owner == customer.user


def test_another_owner_hands_the_team_to_its_present_owner(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    team = create_team(customer)
    add_member(team, Role.OWNER, other)

    answer = product.post(f"/api/teams/{team.id}/transfer", {"user_id": customer.user.id}, token=other.token)

    assert (answer.status_code, answer.json()["team"]["owner_user_id"]) == (200, customer.user.id)
    assert dict(Membership.objects.values_list("user", "role")) == {customer.user.id: "owner", other.user.id: "admin"}


def test_each_change_of_a_team_is_audited_once_with_actor_and_member(customer: Person, other: Person) -> None:
    team = create_team(customer)
    add_member(team, Role.MEMBER, other)
    removed = add_member(team, Role.MEMBER)
    owner = actor_for(team, customer)

    for _ in range(2):  # the same name again is no change
        actions.update_team(owner, name="Platform")
    actions.change_role(owner, user_id=other.user.id, role=Role.ADMIN)
    actions.remove_member(owner, user_id=removed.user.id)
    actions.transfer_team(owner, new_owner_id=other.user.id)
    actions.leave_team(actor_for(team, customer))
    actions.delete_team(actor_for(team, other))

    first, second = customer.user.id, other.user.id
    events = AuditEvent.objects.for_target(team.id).order_by("pk")
    assert [(event.action, event.actor, event.data) for event in events] == [
        ("team.created", first, {}),
        ("team.renamed", first, {}),
        ("membership.role_changed", first, {"member": second, "old": "member", "new": "admin"}),
        ("membership.removed", first, {"member": removed.user.id}),
        ("team.transferred", first, {"member": second}),
        ("membership.left", first, {"member": first}),
        ("team.deleted", second, {"members": 1}),
    ]


def test_listing_teams_costs_three_queries_however_many_there_are(
    product: ServiceClient, customer: Person, other: Person, django_assert_num_queries
) -> None:
    create_team(customer)
    add_member(create_team(other), Role.VIEWER, customer)

    with django_assert_num_queries(3):  # session, count, page
        assert len(product.get("/api/teams", token=customer.token).json()["teams"]) == 2


def test_listing_members_costs_four_queries_however_many_there_are(
    product: ServiceClient, customer: Person, django_assert_num_queries
) -> None:
    team = create_team(customer)
    for _ in range(3):
        add_member(team, Role.MEMBER)

    with django_assert_num_queries(4):  # session, membership, count, page
        assert len(product.get(f"/api/teams/{team.id}/members", token=customer.token).json()["members"]) == 4


def test_an_owner_reaches_no_member_of_another_team_through_her_own(
    product: ServiceClient, customer: Person, other: Person
) -> None:
    team, elsewhere = create_team(customer), create_team(other)
    add_member(elsewhere, Role.ADMIN, customer)
    path = f"/api/teams/{team.id}/members"

    assert product.get(path, token=customer.token).json()["count"] == 1
    assert product.delete(f"{path}/{other.user.id}", token=customer.token).status_code == 404
    assert elsewhere.memberships.count() == 2


def test_members_come_in_pages(product: ServiceClient, customer: Person) -> None:
    team = create_team(customer)
    newest = add_member(team, Role.MEMBER)

    first = product.get(f"/api/teams/{team.id}/members?limit=1", token=customer.token).json()
    second = product.get(f"/api/teams/{team.id}/members?limit=1&cursor={first['next']}", token=customer.token).json()

    assert [row["user_id"] for row in first["members"] + second["members"]] == [newest.user.id, customer.user.id]
    assert (first["count"], second["next"]) == (2, None)


def test_a_team_is_not_transferred_to_a_member_who_is_banned(
    product: ServiceClient, customer: Person, other: Person, staff_member: Person
) -> None:
    team = create_team(customer)
    add_member(team, Role.MEMBER, other)
    ban_user(other.user, by=staff_member.user, reason="fraud")

    answer = product.post(f"/api/teams/{team.id}/transfer", {"user_id": other.user.id}, token=customer.token)

    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"user_id"})
    assert Team.objects.get(pk=team.pk).owner == customer.user
    assert dict(Membership.objects.values_list("user", "role")) == {customer.user.id: "owner", other.user.id: "member"}
