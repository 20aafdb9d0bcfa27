"""Metadata on users and teams: Stripe's bounds and merging, and who may change which keys."""

import pytest

from saas.accounts.actions import update_profile
from saas.accounts.models import Profile
from saas.accounts.privacy import data_sources
from saas.accounts.privacy.personal_values import PersonalValues
from saas.accounts.staff.staff_administration import change_user_metadata
from saas.audit.models import AuditEvent
from saas.teams import actions
from saas.teams.models import Team
from saas.teams.roles import Role, Scope
from saas.testing.concurrency import run_concurrently
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)

FIFTY = [f"key_{number}" for number in range(50)]
LONGEST_KEY = "k" * 40


@pytest.fixture(autouse=True)
def writable(settings):
    keys = ["theme", "color", LONGEST_KEY, "k" * 41, "", "a[b", "a]b", *FIFTY, "key_50"]
    settings.USER_METADATA_WRITABLE = settings.TEAM_METADATA_WRITABLE = keys


@pytest.fixture
def team(customer):
    return create_team(customer)


@pytest.fixture(params=["user", "team"])
def patch(request, product, customer):
    """Change the metadata of the user or the team as its owner; return the answer."""
    if request.param == "user":
        return lambda changes: product.patch("/api/users/profile", {"metadata": changes}, token=customer.token)
    url = f"/api/teams/{create_team(customer).id}"
    return lambda changes: product.patch(url, {"metadata": changes}, token=customer.token)


def metadata_of(answer):
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return body.get("team", body)["metadata"]


def stored():
    return (Team.objects.first() or Profile.objects.get()).metadata


def test_it_is_empty_at_first(product, customer, team):
    assert product.get("/api/users/profile", token=customer.token).json()["metadata"] == {}
    assert product.get(f"/api/teams/{team.id}", token=customer.token).json()["team"]["metadata"] == {}


def test_an_empty_value_removes_its_key_and_other_keys_stay(patch):
    patch({"theme": "dark", "color": "red"})

    assert metadata_of(patch({"theme": "", "key_1": " x "})) == {"color": "red", "key_1": " x "}
    assert metadata_of(patch({})) == {"color": "red", "key_1": " x "}
    assert metadata_of(patch({"never_there": ""})) == {"color": "red", "key_1": " x "}


@pytest.mark.parametrize("changes", [{"k" * 39: "v"}, {"k" * 40: "v"}, {"theme": "v" * 499}, {"theme": "v" * 500}])
def test_keys_of_40_and_values_of_500_characters_are_kept(patch, settings, changes):
    settings.USER_METADATA_WRITABLE = settings.TEAM_METADATA_WRITABLE = list(changes)

    assert metadata_of(patch(changes)) == changes


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"k" * 41: "v"}, f"metadata.{'k' * 41}", "A key has 1 to 40 characters."),
        ({"": "v"}, "metadata.", "A key has 1 to 40 characters."),
        ({"a[b": "v"}, "metadata.a[b", "A key has no square brackets."),
        ({"a]b": "v"}, "metadata.a]b", "A key has no square brackets."),
        ({"theme": "v" * 501}, "metadata.theme", "Ensure this field has no more than 500 characters."),
        ({"theme": 5}, "metadata.theme", "Not a valid string."),
        ({"theme": None}, "metadata.theme", "This field may not be null."),
        ({"theme": {"a": "b"}}, "metadata.theme", "Not a valid string."),
        (["theme"], "metadata", 'Expected a dictionary of items but got type "list".'),
        (None, "metadata", "This field may not be null."),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(patch, changes, field, sentence):
    answer = patch(changes)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert answer.json()["errors"] == {field: [sentence]}
    assert stored() == {}


def test_there_are_at_most_fifty_keys_after_the_merge(patch):
    assert len(metadata_of(patch(dict.fromkeys(FIFTY[:49], "v")))) == 49
    assert len(metadata_of(patch({"key_49": "v"}))) == 50

    refused = patch({"key_50": "v"})

    assert refused.status_code == 422
    assert refused.json()["errors"] == {"metadata": ["Metadata has at most 50 keys."]}
    assert set(metadata_of(patch({"key_0": "", "key_50": "v"}))) == {*FIFTY[1:], "key_50"}


def test_a_key_that_is_not_declared_is_staffs(patch, settings):
    patch({"theme": "dark"})
    settings.USER_METADATA_WRITABLE = settings.TEAM_METADATA_WRITABLE = ["color"]

    refused = patch({"theme": "light", "color": "red"})

    assert (refused.status_code, refused.json()["code"]) == (403, "metadata_read_only")
    assert refused.json()["errors"] == {"metadata.theme": ["Only staff may change this key of the metadata."]}
    assert patch({"theme": ""}).status_code == 403
    assert stored() == {"theme": "dark"}


def test_what_was_read_may_be_sent_back(product, customer, settings):
    product.patch("/api/users/profile", {"metadata": {"theme": "dark"}}, token=customer.token)
    settings.USER_METADATA_WRITABLE = []
    profile = product.get("/api/users/profile", token=customer.token).json()

    assert metadata_of(product.put("/api/users/profile", profile, token=customer.token)) == {"theme": "dark"}


def test_a_refused_key_changes_nothing_else(product, customer, settings):
    settings.USER_METADATA_WRITABLE = []

    answer = product.patch(
        "/api/users/profile", {"biography": "New", "metadata": {"theme": "dark"}}, token=customer.token
    )

    assert answer.status_code == 403
    assert (Profile.objects.get().biography, stored()) == ("", {})


def test_keys_keep_their_names_in_camel_case(parity, customer, settings):
    settings.USER_METADATA_WRITABLE = ["crm_id", "crmId"]
    answer = parity.patch("/users/profile", {"metadata": {"crm_id": "1", "crmId": "2"}}, token=customer.token)

    assert metadata_of(answer) == {"crm_id": "1", "crmId": "2"}
    refused = parity.patch("/users/profile", {"metadata": {"other_id": "1"}}, token=customer.token)
    assert set(refused.json()["errors"]) == {"metadata.other_id"}


@pytest.mark.parametrize(
    ("role", "status"), [(Role.OWNER, 200), (Role.ADMIN, 200), (Role.MEMBER, 403), (Role.VIEWER, 403)]
)
def test_admins_change_a_teams_metadata_and_all_members_read_it(product, team, role, status):
    Team.objects.update(metadata={"tier": "gold"})
    member = add_member(team, role)

    changed = product.patch(f"/api/teams/{team.id}", {"metadata": {"theme": "dark"}}, token=member.token)

    assert changed.status_code == status
    expected = {"tier": "gold", "theme": "dark"} if status == 200 else {"tier": "gold"}
    assert stored() == expected
    [listed] = product.get("/api/teams", token=member.token).json()["teams"]
    assert listed["metadata"] == expected


@pytest.mark.parametrize(("scope", "status"), [(Scope.READ, 403), (Scope.WRITE, 200)])
def test_an_api_key_changes_declared_keys_with_the_scope_to_write(product, customer, team, scope, status):
    token = create_api_key(team, with_verified_email(customer), scope)[1]

    assert product.patch(f"/api/teams/{team.id}", {"metadata": {"theme": "dark"}}, token=token).status_code == status
    assert stored() == ({"theme": "dark"} if status == 200 else {})


def test_changing_metadata_leaves_the_name(product, customer, team):
    name = team.name

    answer = product.patch(f"/api/teams/{team.id}", {"metadata": {"theme": "dark"}}, token=customer.token)

    assert answer.json()["team"]["name"] == name
    assert not AuditEvent.objects.filter(action="team.renamed").exists()
    event = AuditEvent.objects.get(action="team.metadata_changed")
    assert (event.actor, event.target, event.data) == (customer.user.id, team.id, {"keys": ["theme"]})


def test_what_changes_nothing_is_not_audited(product, customer, team):
    for _ in range(2):
        product.patch(f"/api/teams/{team.id}", {"metadata": {"theme": "dark"}}, token=customer.token)
    product.patch("/api/users/profile", {}, token=customer.token)

    assert AuditEvent.objects.filter(action="team.metadata_changed").count() == 1
    assert not AuditEvent.objects.filter(action="profile.updated").exists()


def test_the_export_holds_it(product, customer, team):
    Profile.objects.update(metadata={"crm_id": "17"})
    Team.objects.update(metadata={"tier": "gold"})

    exported = data_sources.export_personal_data(customer.user)["personal_data"]

    assert exported["profile"]["metadata"] == {"crm_id": "17"}
    assert [row["metadata"] for row in exported["teams"]] == [{"tier": "gold"}]


def test_it_goes_with_the_account_and_the_team(customer, other, team):
    Profile.objects.update(metadata={"crm_id": "17"})
    Team.objects.update(metadata={"tier": "gold"})

    data_sources.erase_personal_data(customer.user, action="user.erased")

    assert not Profile.objects.filter(user=customer.user).exists()
    assert (Team.objects.get().deleted_at is None, stored()) == (False, {})


def test_what_others_metadata_says_of_the_erased_goes_too(customer, other):
    create_team(other)
    Team.objects.update(metadata={"contact": f"ask {customer.user.email}", "tier": "gold"})
    Profile.objects.filter(user=other.user).update(metadata={"referred_by": customer.user.email})
    assert PersonalValues.of_user(customer.user).quotes

    data_sources.erase_personal_data(customer.user, action="user.erased")

    assert Team.objects.get().metadata == {"contact": "[erased]", "tier": "gold"}
    assert Profile.objects.get(user=other.user).metadata == {"referred_by": "[erased]"}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_changes_at_once_none_is_lost():
    owner, staff = user_factories.create_customer(), user_factories.create_staff_member()
    team = create_team(owner)
    actor = actor_for(team, owner)
    by_staff = {"by": staff.user, "reason": "asked"}

    outcome = run_concurrently(
        *(lambda key=key: actions.update_team(actor, metadata={key: "v"}) for key in FIFTY[:4]),
        *(lambda key=key: actions.change_team_metadata(team, changes={key: "v"}, **by_staff) for key in FIFTY[4:6]),
        *(lambda key=key: update_profile(owner.user, {"metadata": {key: "v"}}) for key in FIFTY[:4]),
        *(lambda key=key: change_user_metadata(owner.user, changes={key: "v"}, **by_staff) for key in FIFTY[4:6]),
    )

    assert outcome == ["done"] * 12
    assert set(Team.objects.get().metadata) == set(Profile.objects.get().metadata) == set(FIFTY[:6])
