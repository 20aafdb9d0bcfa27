"""Asking people into a team and joining it, over HTTP."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from saas.accounts.staff.staff_administration import ban_user
from saas.audit.models import AuditEvent
from saas.mail.models import Mail
from saas.teams import actions, invitations, plan_limits
from saas.teams.models import Invitation, Membership, Team
from saas.teams.roles import Role
from saas.testing.clients import ServiceClient
from saas.testing.factories import user_factories
from saas.testing.factories.team_factories import actor_for, add_member, create_team, with_verified_email
from saas.testing.factories.user_factories import Person
from saas.testing.mails import link_token

ADDRESS = "new@example.org"


@pytest.fixture
def team(customer: Person) -> Team:
    return create_team(customer)


@pytest.fixture
def guest(db: None) -> Person:
    return with_verified_email(user_factories.create_customer(ADDRESS))


def _token(team: Team, inviter: Person, role: Role = Role.MEMBER, address: str = ADDRESS) -> str:
    invitations.invite(actor_for(team, inviter), email=address, role=role)
    return link_token("team_invitation")


def test_inviting_answers_the_same_whether_or_not_there_is_an_account(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    path = f"/api/teams/{team.id}/invitations"

    known = product.post(path, {"email": guest.user.email}, token=customer.token)
    unknown = product.post(path, {"email": "nobody@example.org"}, token=customer.token)

    assert known.status_code == unknown.status_code == 201
    invitation = known.json()["invitation"]
    assert set(invitation) == set(unknown.json()["invitation"]) == {
        "id", "team_id", "email", "role", "status", "invited_by", "created_at", "expires_at",
    }  # fmt: skip
    assert invitation["id"].startswith("inv_")
    assert (invitation["role"], invitation["status"]) == ("member", "pending")
    assert Mail.objects.filter(template="team_invitation").count() == 2


def test_the_token_is_in_the_mail_and_nowhere_in_the_api(product: ServiceClient, customer: Person, team: Team) -> None:
    path = f"/api/teams/{team.id}/invitations"

    created = product.post(path, {"email": ADDRESS}, token=customer.token)
    listed = product.get(path, token=customer.token)

    token = link_token("team_invitation")
    message = mail.outbox[-1]
    assert message.subject == "You are invited to a team"
    assert f"http://localhost:8000/invitations/accept?token={token}" in message.body
    assert "Kim Example" in message.body
    assert "Engineering" in message.body
    assert token not in created.content.decode() + listed.content.decode()
    assert token not in str(list(Mail.objects.values()))
    assert not Invitation.objects.filter(token_hash=token).exists()


def test_accepting_makes_a_member_of_the_invited_role(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    token = _token(team, customer, Role.ADMIN)

    answer = product.post("/api/invitations/accept", {"token": token}, token=guest.token)

    assert answer.status_code == 200
    assert (answer.json()["team"]["id"], answer.json()["team"]["role"]) == (team.id, "admin")
    assert product.get(f"/api/teams/{team.id}", token=guest.token).status_code == 200
    assert product.get(f"/api/teams/{team.id}/invitations", token=customer.token).json()["invitations"] == []


def test_another_spelling_of_the_address_is_the_same_address(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    token = _token(team, customer, address="New@EXAMPLE.org")

    assert product.post("/api/invitations/accept", {"token": token}, token=guest.token).status_code == 200


@pytest.mark.parametrize(
    "email", ["m\u0131ke@example.org", "no address", "a@localhost", "a@b.org,c@d.org", ["a@b.org"], 5, None]
)
def test_what_is_no_address_is_not_invited(product: ServiceClient, customer: Person, team: Team, email: object) -> None:
    answer = product.post(f"/api/teams/{team.id}/invitations", {"email": email}, token=customer.token)

    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"email"}
    assert not Invitation.objects.exists()
    assert not Mail.objects.filter(template="team_invitation").exists()


def _refused(product: ServiceClient, token: str, person: Person, status: int, code: str) -> None:
    answer = product.post("/api/invitations/accept", {"token": token}, token=person.token)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Membership.objects.filter(user=person.user).exists()


def test_an_unknown_token_is_not_found(product: ServiceClient, guest: Person) -> None:
    _refused(product, "it_nothing", guest, 404, "not_found")


def test_an_invitation_for_another_address_is_refused(
    product: ServiceClient, customer: Person, team: Team, other: Person
) -> None:
    _refused(product, _token(team, customer), with_verified_email(other), 403, "invitation_for_another_address")


def test_an_unverified_address_may_not_accept(product: ServiceClient, customer: Person, team: Team) -> None:
    guest = user_factories.create_customer(ADDRESS)

    _refused(product, _token(team, customer), guest, 403, "email_not_verified")


def test_an_invitation_is_used_once(product: ServiceClient, customer: Person, team: Team, guest: Person) -> None:
    token = _token(team, customer)
    product.post("/api/invitations/accept", {"token": token}, token=guest.token)
    product.post(f"/api/teams/{team.id}/leave", token=guest.token)

    _refused(product, token, guest, 409, "invitation_used")


@pytest.mark.parametrize(
    ("margin", "outcome"),
    [(timedelta(microseconds=-1), (200, None, True, 2)), (timedelta(), (410, "invitation_expired", False, 1))],
    ids=["just before", "then"],
)
def test_an_invitation_ends_after_seven_days(
    product: ServiceClient, customer: Person, team: Team, guest: Person, margin: timedelta, outcome: tuple[object, ...]
) -> None:
    token = _token(team, customer)

    with time_machine.travel(Invitation.objects.get().created_at + timedelta(days=7) + margin, tick=False):
        listed = invitations.invitations_of(guest.user).exists()
        seats = plan_limits.seats_taken(team)
        again = product.post("/api/auth/login", {"email": ADDRESS, "password": user_factories.PASSWORD}).json()
        answer = product.post("/api/invitations/accept", {"token": token}, token=again["access_token"])

    assert (answer.status_code, answer.json().get("code"), listed, seats) == outcome
    assert Membership.objects.filter(user=guest.user).exists() is (outcome[0] == 200)


def test_a_revoked_invitation_is_gone(product: ServiceClient, customer: Person, team: Team, guest: Person) -> None:
    token = _token(team, customer)
    path = f"/api/teams/{team.id}/invitations/{Invitation.objects.get().id}"

    assert product.delete(path, token=customer.token).status_code == 204

    _refused(product, token, guest, 410, "invitation_revoked")
    assert product.delete(path, token=customer.token).status_code == 404


def test_resending_sends_a_new_link_and_kills_the_old_one(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    old = _token(team, customer)

    answer = product.post(
        f"/api/teams/{team.id}/invitations/{Invitation.objects.get().id}/resend", token=customer.token
    )

    assert answer.status_code == 200
    assert answer.json()["invitation"]["status"] == "pending"
    new = link_token("team_invitation")
    _refused(product, old, guest, 404, "not_found")
    assert product.post("/api/invitations/accept", {"token": new}, token=guest.token).status_code == 200


def test_the_invitations_of_a_banned_inviter_are_refused(
    product: ServiceClient, customer: Person, team: Team, guest: Person, staff_member: Person
) -> None:
    admin = add_member(team, Role.ADMIN)
    token = _token(team, admin)
    ban_user(admin.user, by=staff_member.user, reason="fraud")

    _refused(product, token, guest, 410, "invitation_revoked")


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_the_invitations_of_a_demoted_inviter_are_refused(
    product: ServiceClient, customer: Person, team: Team, guest: Person, role: str
) -> None:
    admin = add_member(team, Role.ADMIN)
    token = _token(team, admin)
    actions.change_role(actor_for(team, customer), user_id=admin.user.id, role=Role(role))

    _refused(product, token, guest, 410, "invitation_revoked")
    assert not Invitation.objects.open().exists()


def test_invitations_of_a_removed_inviter_are_refused_and_hold_no_seat(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    admin = add_member(team, Role.ADMIN)
    token = _token(team, admin)
    actions.remove_member(actor_for(team, customer), user_id=admin.user.id)

    _refused(product, token, guest, 410, "invitation_revoked")
    assert product.get(f"/api/teams/{team.id}", token=customer.token).json()["seats"]["taken"] == 1


def test_a_role_above_the_inviters_is_neither_offered_nor_kept(
    product: ServiceClient, customer: Person, team: Team, guest: Person, other: Person
) -> None:
    add_member(team, Role.ADMIN, other)
    offered = product.post(f"/api/teams/{team.id}/invitations", {"email": ADDRESS, "role": "owner"}, token=other.token)
    actions.change_role(actor_for(team, customer), user_id=other.user.id, role=Role.OWNER)
    token = _token(team, other, Role.OWNER)
    actions.change_role(actor_for(team, customer), user_id=other.user.id, role=Role.ADMIN)

    assert (offered.status_code, offered.json()["code"]) == (403, "role_above_own")
    _refused(product, token, guest, 410, "invitation_revoked")
    assert not Invitation.objects.open().exists()


def test_the_invitations_of_a_deleted_team_are_not_found(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    token = _token(team, customer)
    product.delete(f"/api/teams/{team.id}", token=customer.token)

    _refused(product, token, guest, 404, "not_found")
    assert not Invitation.objects.exists()


def test_an_open_invitation_holds_a_seat(product: ServiceClient, customer: Person, team: Team) -> None:
    path = f"/api/teams/{team.id}/invitations"
    for number in range(2):
        assert product.post(path, {"email": f"n{number}@example.org"}, token=customer.token).status_code == 201

    full = product.post(path, {"email": "n3@example.org"}, token=customer.token)
    product.delete(f"{path}/{Invitation.objects.first().id}", token=customer.token)
    free = product.post(path, {"email": "n3@example.org"}, token=customer.token)

    assert (full.status_code, full.json()["code"]) == (409, "seat_limit")
    assert free.status_code == 201


def test_an_invited_person_takes_the_seat_held_for_them(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    token = _token(team, customer)
    invitations.invite(actor_for(team, customer), email="last@example.org", role=Role.MEMBER)
    assert plan_limits.seats_taken(team) == plan_limits.seat_limit(team)

    assert product.post("/api/invitations/accept", {"token": token}, token=guest.token).status_code == 200


def test_a_team_that_is_full_by_now_takes_nobody(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    token = _token(team, customer)
    add_member(team, Role.MEMBER)
    add_member(team, Role.MEMBER)

    _refused(product, token, guest, 409, "seat_limit")


def test_whoever_is_invited_or_in_already_is_not_invited_again(
    product: ServiceClient, customer: Person, team: Team
) -> None:
    path = f"/api/teams/{team.id}/invitations"
    product.post(path, {"email": ADDRESS}, token=customer.token)

    invited = product.post(path, {"email": ADDRESS.upper()}, token=customer.token)
    member = product.post(path, {"email": customer.user.email}, token=customer.token)

    assert (invited.status_code, invited.json()["code"]) == (409, "already_invited")
    assert (member.status_code, member.json()["code"]) == (409, "already_member")
    assert Invitation.objects.count() == 1


def test_an_expired_invitation_does_not_stand_in_the_way_of_a_new_one(customer: Person, team: Team) -> None:
    _token(team, customer)
    with time_machine.travel(timezone.now() + timedelta(days=8), tick=False):
        new = invitations.invite(actor_for(team, customer), email=ADDRESS, role=Role.MEMBER)

    assert Invitation.objects.open().get() == new


def test_each_step_of_an_invitation_is_audited_with_its_actor(customer: Person, team: Team, guest: Person) -> None:
    actor = actor_for(team, customer)
    sent = invitations.invite(actor, email=ADDRESS, role=Role.ADMIN)
    invitations.resend_invitation(actor, sent)
    invitations.accept_invitation(link_token("team_invitation"), user=guest.user)
    gone = invitations.invite(actor, email="gone@example.org", role=Role.MEMBER)
    invitations.revoke_invitation(actor, gone)

    events = AuditEvent.objects.for_target(team.id).filter(action__startswith="invitation.").order_by("pk")
    assert [(event.action, event.actor, event.data) for event in events] == [
        ("invitation.created", customer.user.id, {"invitation": sent.id, "role": "admin"}),
        ("invitation.resent", customer.user.id, {"invitation": sent.id}),
        ("invitation.accepted", guest.user.id, {"invitation": sent.id, "role": "admin"}),
        ("invitation.created", customer.user.id, {"invitation": gone.id, "role": "member"}),
        ("invitation.revoked", customer.user.id, {"invitation": gone.id}),
    ]
    assert Invitation.objects.get(pk=sent.pk).accepted_by == guest.user


@pytest.mark.parametrize(("role", "status"), [("admin", 201), ("member", 403), ("viewer", 403)])
def test_admins_invite_and_others_do_not(product: ServiceClient, team: Team, role: str, status: int) -> None:
    person = add_member(team, Role(role))

    answer = product.post(f"/api/teams/{team.id}/invitations", {"email": ADDRESS}, token=person.token)

    assert answer.status_code == status
    assert Invitation.objects.count() == (status == 201)


def test_an_owner_reaches_no_invitation_of_another_team_through_her_own(
    product: ServiceClient, customer: Person, other: Person, team: Team
) -> None:
    elsewhere = create_team(other)
    add_member(elsewhere, Role.MEMBER, customer)
    theirs = invitations.invite(actor_for(elsewhere, other), email=ADDRESS, role=Role.MEMBER)
    path = f"/api/teams/{team.id}/invitations"

    answers = [
        product.delete(f"{path}/{theirs.id}", token=customer.token),
        product.post(f"{path}/{theirs.id}/resend", token=customer.token),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 2
    assert product.get(path, token=customer.token).json()["count"] == 0
    assert Invitation.objects.open().get().token_hash == theirs.token_hash


def test_one_person_sends_twenty_invitations_an_hour(
    product: ServiceClient, customer: Person, team: Team, settings
) -> None:
    settings.RATE_LIMIT_SCALE = 1
    path = f"/api/teams/{team.id}/invitations"
    created = product.post(path, {"email": ADDRESS}, token=customer.token).json()["invitation"]
    again = [product.post(f"{path}/{created['id']}/resend", token=customer.token).status_code for _ in range(20)]

    assert again == [200] * 19 + [429]
    assert Mail.objects.filter(template="team_invitation").count() == 20


def test_a_stranger_does_not_use_up_a_teams_invitations(
    product: ServiceClient, customer: Person, other: Person, team: Team, settings
) -> None:
    settings.RATE_LIMIT_SCALE = 1
    path = f"/api/teams/{team.id}/invitations"
    for _ in range(101):
        product.post(path, {"email": ADDRESS}, token=other.token)

    assert product.post(path, {"email": ADDRESS}, token=customer.token).status_code == 201


def test_listing_invitations_costs_four_queries(
    product: ServiceClient, customer: Person, team: Team, django_assert_num_queries
) -> None:
    for number in range(2):
        invitations.invite(actor_for(team, customer), email=f"n{number}@example.org", role=Role.MEMBER)

    with django_assert_num_queries(4):  # session, membership, count, page
        assert product.get(f"/api/teams/{team.id}/invitations", token=customer.token).json()["count"] == 2


def test_resending_an_expired_invitation_needs_a_free_seat(
    product: ServiceClient, customer: Person, team: Team
) -> None:
    """While it was open it held one; meanwhile others have taken all."""
    path = f"/api/teams/{team.id}/invitations"
    first = product.post(path, {"email": ADDRESS}, token=customer.token).json()["invitation"]
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    members = [add_member(team, Role.MEMBER) for _ in range(2)]
    before = Invitation.objects.values().get()

    full = product.post(f"{path}/{first['id']}/resend", token=customer.token)
    unchanged = Invitation.objects.values().get() == before
    team.memberships.filter(user=members[0].user).delete()
    free = product.post(f"{path}/{first['id']}/resend", token=customer.token)

    assert (full.status_code, full.json()["code"]) == (409, "seat_limit")
    assert unchanged
    assert Mail.objects.filter(template="team_invitation").count() == 2
    assert free.status_code == 200


def test_resending_an_open_invitation_needs_no_further_seat(
    product: ServiceClient, customer: Person, team: Team
) -> None:
    path = f"/api/teams/{team.id}/invitations"
    first = product.post(path, {"email": ADDRESS}, token=customer.token).json()["invitation"]
    add_member(team, Role.MEMBER)

    assert product.post(f"{path}/{first['id']}/resend", token=customer.token).status_code == 200


def test_who_has_lost_the_mail_finds_the_invitation_and_joins(
    product: ServiceClient, customer: Person, team: Team, guest: Person
) -> None:
    sent = invitations.invite(actor_for(team, customer), email=ADDRESS, role=Role.ADMIN)

    (shown,) = product.get("/api/invitations", token=guest.token).json()["invitations"]
    joined = product.post(f"/api/invitations/{sent.id}/accept", token=guest.token)

    assert {name: shown[name] for name in ("id", "team_id", "team_name", "role", "invited_by_name")} == {
        "id": sent.id, "team_id": team.id, "team_name": team.name, "role": "admin",
        "invited_by_name": customer.user.full_name or customer.user.email,
    }  # fmt: skip
    assert (joined.status_code, joined.json()["team"]["role"]) == (200, "admin")
    assert Invitation.objects.get().accepted_by == guest.user
    assert product.get("/api/invitations", token=guest.token).json()["invitations"] == []
    assert product.post(f"/api/invitations/{sent.id}/accept", token=guest.token).status_code == 404


@pytest.mark.parametrize("kept_from", ["unverified", "expired", "revoked", "inviter left", "team deleted", "member"])
def test_an_invitation_that_cannot_be_accepted_is_not_found(
    product: ServiceClient, customer: Person, team: Team, kept_from: str
) -> None:
    guest = user_factories.create_customer(ADDRESS)
    if kept_from != "unverified":
        with_verified_email(guest)
    inviter = add_member(team, Role.ADMIN)
    sent = invitations.invite(actor_for(team, inviter), email=ADDRESS, role=Role.MEMBER)
    match kept_from:
        case "expired":
            Invitation.objects.update(expires_at=timezone.now())
        case "revoked":
            invitations.revoke_invitation(actor_for(team, customer), sent)
        case "inviter left":
            actions.leave_team(actor_for(team, inviter))
        case "team deleted":
            actions.delete_team(actor_for(team, customer))
        case "member":
            add_member(team, Role.VIEWER, guest)
    members = Membership.objects.count()

    assert product.get("/api/invitations", token=guest.token).json()["invitations"] == []
    assert product.post(f"/api/invitations/{sent.id}/accept", token=guest.token).status_code == 404
    assert Membership.objects.count() == members


def test_nobody_sees_or_accepts_anothers_invitation(
    product: ServiceClient, customer: Person, team: Team, other: Person
) -> None:
    sent = invitations.invite(actor_for(team, customer), email=ADDRESS, role=Role.MEMBER)
    with_verified_email(other)

    assert product.get("/api/invitations", token=other.token).json() == {"invitations": [], "count": 0, "next": None}
    assert product.post(f"/api/invitations/{sent.id}/accept", token=other.token).status_code == 404
