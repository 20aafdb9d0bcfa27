"""Team pages: what each role is offered, what it may send, and that the actions are the API's."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from product.pages.teams import invitations as invitation_pages
from saas.accounts.models import LoginSession
from saas.accounts.reauthentication import RECENT_LOGIN_WINDOW
from saas.billing.overrides import override_limit
from saas.mail.models import Mail
from saas.teams import invitations
from saas.teams.models import ApiKey, Invitation, Membership, Team
from saas.teams.plan_limits import SeatLimitReached
from saas.teams.roles import Role, Scope
from saas.testing.clients import ServiceClient
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)
from saas.testing.factories.user_factories import PASSWORD, Person

PATHS = ("", "/invitations", "/api-keys", "/api-keys/new", "/settings", "/leave", "/transfer", "/delete")
HTML = {"Accept": "text/html"}


class Browser:
    """A customer's browser without scripts."""

    def __init__(self, client: ServiceClient, person: Person) -> None:
        self.client = client
        client.cookies.clear()
        client.cookies["saas_session"] = person.cookie_key
        client.get("/api/auth/csrf")

    def get(self, path: str, **headers: str) -> str:
        self.answer = self.client.get(path, headers={**HTML, **headers})
        return str(self.answer.content.decode())

    def send(self, path: str, **fields: Any) -> str:
        self.answer = self.client.submit_form(path, fields)
        return str(self.answer.content.decode())

    def follow(self, path: str, **fields: Any) -> str:
        """Send a form, and open the page that it leads to."""
        self.send(path, **fields)
        assert self.answer.status_code == 302, self.answer.content.decode()
        return self.get(self.answer.headers["Location"])


@pytest.fixture
def owner(customer: Person) -> Person:
    return with_verified_email(customer)


@pytest.fixture
def team(owner: Person) -> Team:
    return create_team(owner)


@pytest.fixture
def roomy(team: Team, owner: Person) -> None:
    """The team has more seats than the free plan gives."""
    expires_at = timezone.now() + timedelta(days=1)
    override_limit(team, key="seats", value=30, expires_at=expires_at, reason="a test", by=owner.user)


@pytest.fixture
def home(team: Team) -> str:
    return f"/teams/{team.id}"


@pytest.fixture
def browser(product: ServiceClient, owner: Person) -> Browser:
    return Browser(product, owner)


def alerts(page: str) -> list[str]:
    return re.findall(r"<li><strong>([^<]+)</strong>: ([^<]+)</li>", page)


def test_a_team_is_created_and_leads_to_inviting(browser: Browser) -> None:
    page = browser.follow("/teams", name="  Engineering ")

    team = Team.objects.get()
    assert (team.name, browser.answer.wsgi_request.path) == ("Engineering", f"/teams/{team.id}/invitations")
    assert "The team is there. Invite the first people." in page
    assert f'href="/teams/{team.id}"' in browser.get("/teams")


def test_a_refused_team_keeps_what_was_typed_and_says_why(browser: Browser, team: Team) -> None:
    page = browser.send("/teams", name="One too many")

    assert browser.answer.status_code == 409
    assert "The plan allows no further team." in page
    assert 'value="One too many"' in page
    assert Team.objects.get() == team


def test_a_name_that_is_missing_is_named_beside_its_field(browser: Browser) -> None:
    page = browser.send("/teams", name=" ")

    assert browser.answer.status_code == 422
    assert 'aria-invalid="true"' in page
    assert not Team.objects.exists()


def test_nobody_sees_a_team_that_they_are_not_in(product: ServiceClient, other: Person, home: str) -> None:
    browser = Browser(product, other)

    for path in PATHS:
        page = browser.get(home + path)
        assert (browser.answer.status_code, "Engineering" in page) == (404, False)


@pytest.mark.parametrize(
    ("path", "back"), [("/leave", "/settings"), ("/invitations", "/invitations"), ("/api-keys/new", "/api-keys/new")]
)
def test_who_was_logged_out_meanwhile_is_led_back_to_the_form(
    product: ServiceClient, home: str, path: str, back: str
) -> None:
    product.get("/login")

    answer = product.submit_form(home + path, {"name": "key"})

    assert (answer.status_code, answer.headers["Location"]) == (302, f"/login?{urlencode({'next': home + back})}")


def test_who_is_not_logged_in_logs_in_first_and_comes_back(product: ServiceClient, home: str) -> None:
    answer = product.get(home, headers=HTML)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"/login?next=%2Fteams%2F{home[7:]}")


# What is offered on the pages: a link or form to each.
OFFERS = {
    "invite": ("", "/invitations"),
    "invitation form": ("/invitations", 'name="emails"'),
    "new key": ("/api-keys", "/api-keys/new"),
    "rename": ("/settings", 'name="name"'),
    "leave": ("/settings", "/leave"),
    "transfer": ("/settings", "/transfer"),
    "delete": ("/settings", "/delete"),
}


@pytest.mark.parametrize(
    ("role", "offered"),
    [
        (Role.OWNER, {"invite", "invitation form", "new key", "rename", "leave", "transfer", "delete"}),
        (Role.ADMIN, {"invite", "invitation form", "new key", "rename", "leave"}),
        (Role.MEMBER, {"leave"}),
        (Role.VIEWER, {"leave"}),
    ],
)
def test_a_role_is_offered_what_it_may_do(
    product: ServiceClient, team: Team, home: str, role: Role, offered: set[str]
) -> None:
    browser = Browser(product, add_member(team, role))
    found = set()
    for name, (path, sign) in OFFERS.items():
        page = browser.get(home + path).partition('class="settings-body"')[2]
        if (sign if sign.startswith("name") else f'href="{home}{sign}"') in page:
            found.add(name)

    assert found == offered


SENT = [
    ("/invitations", {"emails": "new@example.org", "role": "member"}, {Role.OWNER, Role.ADMIN}),
    ("/api-keys/new", {"name": "CI", "scopes": "read", "expires_in_days": "30"}, {Role.OWNER, Role.ADMIN}),
    ("/settings", {"name": "Renamed"}, {Role.OWNER, Role.ADMIN}),
    ("/members/{member}", {"role": "viewer"}, {Role.OWNER, Role.ADMIN}),
    ("/members/{member}/remove", {}, {Role.OWNER, Role.ADMIN}),
    ("/transfer", {"user_id": "{member}"}, {Role.OWNER}),
    ("/delete", {}, {Role.OWNER}),
    ("/leave", {}, {Role.ADMIN, Role.MEMBER, Role.VIEWER}),
]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("path", "fields", "allowed"), SENT, ids=[path for path, *_ in SENT])
@pytest.mark.usefixtures("roomy")
def test_what_a_role_may_not_do_is_refused_when_it_is_sent(
    product: ServiceClient, owner: Person, team: Team, home: str, role: Role, path: str, fields: dict[str, str], allowed
) -> None:
    member = add_member(team, Role.MEMBER)
    person = owner if role == Role.OWNER else add_member(team, role)
    browser = Browser(product, person)

    browser.send(
        home + path.format(member=member.user.id),
        **{name: value.format(member=member.user.id) for name, value in fields.items()},
    )

    if role in allowed:
        assert browser.answer.status_code == (200 if path == "/api-keys/new" else 302)
    else:
        last_owner = (role, path) == (Role.OWNER, "/leave")
        assert browser.answer.status_code == (409 if last_owner else 403)
        assert Team.objects.live().filter(name="Engineering", owner=owner.user).exists()
        assert Membership.objects.filter(team=team, user=member.user, role=Role.MEMBER).exists()
        assert not Invitation.objects.exists()
        assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("role", "closed"),
    [
        (Role.OWNER, set()),
        (Role.ADMIN, {"/transfer", "/delete"}),
        (Role.MEMBER, {"/api-keys/new", "/transfer", "/delete"}),
        (Role.VIEWER, {"/invitations", "/api-keys", "/api-keys/new", "/transfer", "/delete"}),
    ],
)
def test_a_page_is_shown_only_to_people_who_may_use_it(
    product: ServiceClient, owner: Person, team: Team, home: str, role: Role, closed: set[str]
) -> None:
    browser = Browser(product, owner if role == Role.OWNER else add_member(team, role))

    statuses = {}
    for path in PATHS:
        browser.get(home + path)
        statuses[path] = browser.answer.status_code

    assert statuses == {path: 403 if path in closed else 200 for path in PATHS}


@pytest.mark.parametrize(("switch", "section"), [("API_KEYS", "/api-keys"), ("BILLING", "/billing")])
def test_a_section_that_is_switched_off_is_not_offered(
    browser: Browser, home: str, settings, switch: str, section: str
) -> None:
    assert f'href="{home}{section}"' in browser.get(home)

    setattr(settings, switch, False)

    assert f'href="{home}{section}"' not in browser.get(home)


def test_members_are_listed_with_their_roles(
    product, browser: Browser, team: Team, home: str, django_assert_num_queries
) -> None:
    for role in (Role.ADMIN, Role.MEMBER, Role.VIEWER):
        add_member(team, role)

    page = browser.get(home)

    assert re.findall(r'<span class="badge">(\w+)</span>', page) == ["Viewer", "Member", "Admin", "Owner"]
    assert "(you)" in page
    with django_assert_num_queries(11):
        browser.get(home)


def test_a_role_is_changed_and_told(browser: Browser, team: Team, home: str) -> None:
    member = add_member(team, Role.MEMBER)

    page = browser.follow(f"{home}/members/{member.user.id}", role="viewer")

    assert Membership.objects.get(user=member.user).role == Role.VIEWER
    assert "Kim Example is now: Viewer." in page


def test_an_admin_is_offered_no_role_above_their_own(product, owner: Person, team: Team, home: str) -> None:
    admin, member = add_member(team, Role.ADMIN), add_member(team, Role.MEMBER)
    browser = Browser(product, admin)

    page = browser.get(f"{home}/members/{member.user.id}")
    assert re.findall(r'<option value="(\w+)"', page) == ["admin", "member", "viewer"]
    assert browser.get(home).count("/members/") == 1
    browser.get(f"{home}/members/{owner.user.id}")
    assert browser.answer.status_code == 403

    browser.send(f"{home}/members/{member.user.id}", role="owner")
    assert browser.answer.status_code == 403
    browser.send(f"{home}/members/{owner.user.id}/remove")
    assert browser.answer.status_code == 403
    assert Membership.objects.get(user=member.user).role == Role.MEMBER
    assert Membership.objects.filter(user=owner.user).exists()


def test_a_member_is_removed_after_reading_what_that_means(browser: Browser, team: Team, home: str) -> None:
    member = add_member(team, Role.MEMBER)

    assert "API keys and open invitations that they made end at once." in browser.get(
        f"{home}/members/{member.user.id}/remove"
    )
    assert Membership.objects.filter(user=member.user).exists()
    page = browser.follow(f"{home}/members/{member.user.id}/remove")

    assert "Kim Example is no longer in the team." in page
    assert not Membership.objects.filter(user=member.user).exists()


@pytest.mark.usefixtures("roomy")
def test_several_are_invited_at_once(browser: Browser, team: Team, home: str) -> None:
    page = browser.follow(
        f"{home}/invitations", emails="a@example.org, B@example.org;\r\n c@example.org\r\na@example.org", role="viewer"
    )

    assert "3 invitations are on their way." in page
    assert set(Invitation.objects.values_list("email", "role")) == {
        (email, "viewer") for email in ("a@example.org", "B@example.org", "c@example.org")
    }
    assert Mail.objects.filter(template="team_invitation").count() == 3


@pytest.mark.usefixtures("roomy")
def test_addresses_are_read_as_a_mail_program_copies_them(browser: Browser, home: str) -> None:
    copied = (
        '"Lee, Kim" <kim@example.org>, Ada Lovelace <ada@example.org> di@example.org\r\nbo@example.org "cy@example.org"'
    )

    page = browser.follow(f"{home}/invitations", emails=copied, role="viewer")

    assert "5 invitations are on their way." in page
    assert set(Invitation.objects.values_list("email", flat=True)) == {
        "kim@example.org", "ada@example.org", "di@example.org", "bo@example.org", "cy@example.org",
    }  # fmt: skip


@pytest.mark.usefixtures("roomy")
@pytest.mark.parametrize(("typed", "refused"), [("Kim <>", "Kim"), ("Kim <kim@example.org", "Kim")])
def test_a_word_that_is_no_address_is_told(browser: Browser, home: str, typed: str, refused: str) -> None:
    page = browser.send(f"{home}/invitations", emails=typed, role="viewer")

    assert (refused, "This is not an e-mail address that we can send to.") in alerts(page)
    assert not Invitation.objects.exists()


@pytest.mark.usefixtures("roomy")
def test_each_refused_address_is_named_and_the_others_are_sent(
    browser: Browser, owner: Person, team: Team, home: str
) -> None:
    browser.follow(f"{home}/invitations", emails="a@example.org", role="member")

    page = browser.send(
        f"{home}/invitations", emails=f"a@example.org new@example.org nobody {owner.user.email}", role="member"
    )

    assert browser.answer.status_code == 422
    assert alerts(page) == [
        ("a@example.org", "There is an open invitation to this address already."),
        ("nobody", "This is not an e-mail address that we can send to."),
        (owner.user.email, "This person is in the team already."),
    ]
    assert set(Invitation.objects.values_list("email", flat=True)) == {"a@example.org", "new@example.org"}
    typed = re.search(r"<textarea[^>]*>([^<]*)</textarea>", page)
    assert typed
    assert typed[1].split() == ["a@example.org", "nobody", owner.user.email]
    assert "1 invitation is on its way." in page


@pytest.mark.usefixtures("roomy")
def test_more_than_twenty_are_refused_together(browser: Browser, home: str) -> None:
    page = browser.send(f"{home}/invitations", emails=" ".join(f"p{n}@example.org" for n in range(21)), role="member")

    assert browser.answer.status_code == 422
    assert "Invite at most 20 at once." in page
    assert not Invitation.objects.exists()


def test_as_many_as_are_allowed_are_invited_and_an_address_counts_once(
    browser: Browser, home: str, monkeypatch
) -> None:
    monkeypatch.setattr(invitation_pages, "MAX_AT_ONCE", 2)

    browser.follow(f"{home}/invitations", emails="a@example.org b@example.org a@example.org", role="member")

    assert Invitation.objects.count() == 2


def test_nobody_is_invited_by_an_empty_form(browser: Browser, home: str) -> None:
    for emails in ("", " , ;\n"):
        page = browser.send(f"{home}/invitations", emails=emails, role="member")

        assert browser.answer.status_code == 422, page
        assert 'aria-invalid="true"' in page


def test_an_invitation_is_sent_again_and_withdrawn(browser: Browser, home: str) -> None:
    browser.follow(f"{home}/invitations", emails="a@example.org", role="member")
    row = Invitation.objects.get()

    again = browser.follow(f"{home}/invitations/{row.id}", do="resend")
    assert "The invitation is on its way to a@example.org again." in again
    assert Mail.objects.filter(template="team_invitation").count() == 2
    page = browser.follow(f"{home}/invitations/{row.id}", do="revoke")

    assert "The invitation of a@example.org is withdrawn." in page
    assert "No open invitation" in page


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"revoked_at": timezone.now()}, "This invitation is not valid any more."),
        ({"accepted_at": timezone.now()}, "This invitation has been accepted already."),
    ],
    ids=["withdrawn", "accepted"],
)
@pytest.mark.parametrize("do", ["resend", "revoke"])
def test_a_button_of_an_old_list_says_what_became_of_the_invitation(
    browser: Browser, home: str, do: str, change: dict[str, Any], sentence: str
) -> None:
    browser.follow(f"{home}/invitations", emails="a@example.org", role="member")
    row = Invitation.objects.get()
    Invitation.objects.update(**change)

    assert sentence in browser.follow(f"{home}/invitations/{row.id}", do=do)
    assert Mail.objects.filter(template="team_invitation").count() == 1


def test_an_invitation_of_another_team_is_not_there(
    product, owner: Person, other: Person, browser: Browser, home: str
) -> None:
    elsewhere = create_team(with_verified_email(other))
    add_member(elsewhere, Role.MEMBER, owner)
    row = invitations.invite(actor_for(elsewhere, other), email="a@example.org", role=Role.MEMBER)

    browser.send(f"{home}/invitations/{row.id}", do="revoke")

    assert (browser.answer.status_code, Invitation.objects.open().count()) == (404, 1)


@pytest.mark.parametrize("place", ["/api-keys/{key}", "/members/{member}/remove", "/delete"])
def test_a_double_click_has_one_answer_though_nothing_is_left(
    browser: Browser, owner: Person, team: Team, home: str, place: str
) -> None:
    create_api_key(team, owner)
    member = add_member(team, Role.MEMBER)
    path = home + place.format(key=ApiKey.objects.get().pk, member=member.user.pk)
    form_key = re.search(r'name="form_key" value="([^"]+)"', browser.get(path))
    assert form_key

    places = []
    for _ in range(2):
        browser.send(path, form_key=form_key[1])
        places.append((browser.answer.status_code, browser.answer.headers.get("Location")))

    assert places[0][0] == 302
    assert places[1] == places[0]


def test_a_form_about_what_is_gone_for_long_is_not_found(browser: Browser, home: str) -> None:
    browser.send(f"{home}/api-keys/key_nothing", form_key="of another page")

    assert browser.answer.status_code == 404


def test_who_is_invited_reads_so_among_their_teams_and_joins(product, team: Team, owner: Person, other: Person) -> None:
    sent = invitations.invite(actor_for(team, owner), email=other.user.email, role=Role.MEMBER)
    browser = Browser(product, with_verified_email(other))
    listed = browser.get("/teams")
    assert "You are invited" in listed
    assert f'action="/invitations/{sent.id}/join"' in listed

    joined = browser.follow(f"/invitations/{sent.id}/join")

    assert "You are in the team now." in joined
    assert team.memberships.get(user=other.user).role == Role.MEMBER
    assert "You are invited" not in browser.get("/teams")
    browser.send(f"/invitations/{sent.id}/join")
    assert browser.answer.status_code == 404


def test_an_invitation_to_a_full_team_says_so_above_the_list(
    product: ServiceClient, team: Team, owner: Person, other: Person
) -> None:
    sent = invitations.invite(actor_for(team, owner), email=other.user.email, role=Role.MEMBER)
    for _ in range(2):
        add_member(team, Role.MEMBER)

    page = Browser(product, with_verified_email(other)).follow(f"/invitations/{sent.id}/join")

    assert SeatLimitReached.title in page
    assert "You are invited" in page


def test_a_key_is_shown_once_and_listed_without_it(browser: Browser, owner: Person, home: str) -> None:
    page = browser.send(f"{home}/api-keys/new", name="Nightly export", scopes="write", expires_in_days="30")

    key = ApiKey.objects.get()
    found = re.search(r'<code id="key">(saas_\w+)</code>', page)
    assert found
    assert key.prefix == found[1][: len(key.prefix)]
    assert (key.scope_list, (key.expires_at - key.created_at).days) == (["read", "write"], 30)
    assert 'data-copy="key"' in page
    listed = browser.get(f"{home}/api-keys")
    assert found[1] not in listed
    for text in ("Nightly export", f"{key.prefix}…", "Read and write", "By Kim Example", "never used"):
        assert text in listed


def test_a_double_click_makes_one_key_and_shows_it_twice(browser: Browser, home: str) -> None:
    form_key = re.search(r'name="form_key" value="([^"]+)"', browser.get(f"{home}/api-keys/new"))
    assert form_key
    fields = {"name": "CI", "scopes": "read", "expires_in_days": "30", "form_key": form_key[1]}

    first, second = browser.send(f"{home}/api-keys/new", **fields), browser.send(f"{home}/api-keys/new", **fields)

    assert ApiKey.objects.count() == 1
    assert re.findall(r"saas_\w{40,}", first) == re.findall(r"saas_\w{40,}", second)


def test_a_key_asks_for_the_password_when_the_login_is_old(browser: Browser, home: str) -> None:
    LoginSession.objects.update(authenticated_at=timezone.now() - RECENT_LOGIN_WINDOW * 2)
    fields = {"name": "CI", "scopes": "read", "expires_in_days": "30"}

    asked = browser.send(f"{home}/api-keys/new", **fields)
    assert (browser.answer.status_code, ApiKey.objects.count()) == (403, 0)
    assert '<input type="hidden" name="name" value="CI">' in asked
    browser.send(f"{home}/api-keys/new", **fields, current_password="wrong")
    assert (browser.answer.status_code, ApiKey.objects.count()) == (422, 0)
    page = browser.send(f"{home}/api-keys/new", **fields, current_password=PASSWORD)

    assert browser.answer.status_code == 200
    assert "saas_" in page


def test_an_unconfirmed_address_makes_no_key(product, team: Team, home: str, other: Person) -> None:
    Membership.objects.create(team=team, user=other.user, role=Role.ADMIN)
    browser = Browser(product, other)

    page = browser.send(f"{home}/api-keys/new", name="CI", scopes="read", expires_in_days="30")

    assert browser.answer.status_code == 403
    assert "Confirm your e-mail address first." in page
    assert 'value="CI"' in page
    assert not ApiKey.objects.exists()


def test_a_key_is_revoked_after_reading_what_that_means(browser: Browser, team: Team, owner: Person, home: str) -> None:
    key, _ = create_api_key(team, owner, Scope.READ)

    asked = browser.get(f"{home}/api-keys/{key.id}")
    page = browser.follow(f"{home}/api-keys/{key.id}")

    assert "The next request with this key is refused." in asked
    assert "The key “CI” is revoked." in page
    assert ApiKey.objects.get().revoked_at is not None


def test_the_last_owner_reads_why_they_cannot_leave(browser: Browser, owner: Person, home: str) -> None:
    page = browser.send(f"{home}/leave")

    assert browser.answer.status_code == 409
    assert "A team needs an owner: make someone else one first." in page
    assert Membership.objects.filter(user=owner.user).exists()


def test_a_team_is_handed_over(browser: Browser, owner: Person, team: Team, home: str) -> None:
    member, banned = add_member(team, Role.MEMBER), add_member(team, Role.MEMBER)
    type(banned.user).objects.filter(pk=banned.user.pk).update(status="disabled")

    offered = re.findall(r'<option value="(\w+)"', browser.get(f"{home}/transfer"))
    page = browser.follow(f"{home}/transfer", user_id=member.user.id)

    team.refresh_from_db()
    assert offered == [member.user.id]
    assert team.owner_id == member.user.id
    assert Membership.objects.get(user=owner.user).role == Role.ADMIN
    assert "The team is handed over. You are an admin now." in page


def test_a_team_is_deleted_after_reading_what_that_means(browser: Browser, team: Team, home: str) -> None:
    add_member(team, Role.MEMBER)

    asked = browser.get(f"{home}/delete")
    assert "2 members lose access at once." in asked
    assert "This cannot be undone." in asked
    page = browser.follow(f"{home}/delete")

    assert "Engineering is deleted." in page
    assert not Team.objects.live().exists()


def test_the_switcher_leads_to_the_other_teams(browser: Browser, other: Person, owner: Person, home: str) -> None:
    second = create_team(other, "Design <b>")
    add_member(second, Role.MEMBER, owner)

    page = browser.get(home)

    assert f'<a href="/teams/{second.id}">Design &lt;b&gt;</a>' in page


@pytest.mark.parametrize(
    "path", ["", "/invitations", "/api-keys", "/api-keys/new", "/settings", "/leave", "/transfer", "/delete"]
)
def test_every_team_page_speaks_german(browser: Browser, owner: Person, home: str, path: str) -> None:
    type(owner.user).objects.filter(pk=owner.user.pk).update(locale="de")

    page = browser.get(home + path)

    assert '<html lang="de">' in page
    assert "Mitglieder" in page
    assert not re.search(r">\s*(Members|Invitations|Settings|API keys|Cancel|Save)\s*<", page)


@pytest.mark.parametrize(("cursor", "status"), [("x", 200), ("eyJ", 200), ("%00x", 400)])
def test_a_cursor_of_nothing_shows_the_first_page(browser: Browser, home: str, cursor: str, status: int) -> None:
    browser.get(f"{home}?cursor={cursor}")

    assert browser.answer.status_code == status
