"""Two teams with members of every role, staff and keys: the actors and ids of the security tests."""

from dataclasses import dataclass

from saas.accounts.models import LoginSession, Profile, StaffRole
from saas.accounts.staff.impersonations import ImpersonationRequest, impersonate
from saas.accounts.staff.staff_administration import ban_user
from saas.billing import checkouts, payment_methods
from saas.billing.models import Invoice, Subscription
from saas.mail.models import Mail
from saas.operations.app_discovery import added_module_files
from saas.teams import invitations
from saas.teams.models import Team
from saas.teams.roles import Role, Scope
from saas.testing.clients import ServiceClient
from saas.testing.factories import event_factories, user_factories
from saas.testing.factories.team_factories import (
    actor_for,
    add_member,
    create_api_key,
    create_team,
    with_verified_email,
)
from saas.testing.factories.user_factories import Person

SENTINEL = "Sentinel"  # stands in every name of the first team


@dataclass(frozen=True)
class Scenario:
    team: Team
    owner: Person
    stranger: Person  # owns the other team
    other_team: Team
    tokens: dict[str, str]  # by actor
    ids: dict[str, str]  # of the first team and its owner, by the name of the path parameter
    other_ids: dict[str, str]  # the same of the other team and the stranger


def build_scenario() -> Scenario:
    owner, stranger = _owner(SENTINEL), _owner("Ola")
    team, other_team = create_team(owner, f"{SENTINEL} team"), create_team(stranger, "Other team")
    ids, other_ids = _ids(team, owner, SENTINEL), _ids(other_team, stranger, "other")
    tokens = {"anonymous": "", "owner": owner.token, "stranger": stranger.token, **_members(team), **_staff()}
    tokens |= _keys(team, owner) | _impersonators(owner)
    _set_metadata(team, owner)
    _receive_event()
    return Scenario(team, owner, stranger, other_team, tokens, ids, other_ids)


def _set_metadata(team: Team, owner: Person) -> None:
    Team.objects.filter(pk=team.pk).update(metadata={"note": SENTINEL})
    Profile.objects.filter(user=owner.user).update(metadata={"note": SENTINEL})


def _receive_event() -> None:
    body = event_factories.json_bytes(event_factories.event("evt_1"))
    ServiceClient("webhooks").send(
        "POST", "/api/webhooks/stripe", raw=body, headers=event_factories.signature_headers(body)
    )


def _owner(name: str) -> Person:
    return with_verified_email(user_factories.create_customer(full_name=f"{name} Owner"))


def _members(team: Team) -> dict[str, str]:
    banned = add_member(team, Role.ADMIN)
    ban_user(banned.user, by=user_factories.create_staff_member().user, reason="fraud")
    return {
        "banned": banned.token,
        "viewer": add_member(team, Role.VIEWER).token,
        "member": add_member(team, Role.MEMBER).token,
        "unverified": add_member(team, Role.ADMIN, user_factories.create_customer()).token,
        "admin": add_member(team, Role.ADMIN).token,
    }


def _staff() -> dict[str, str]:
    return {f"staff:{role}": user_factories.create_staff_member("", role).token for role in StaffRole}


def _impersonators(owner: Person) -> dict[str, str]:
    """Staff in the first owner's name."""
    session = LoginSession.objects.get(sid=user_factories.create_staff_member().session_id)
    return {
        "as-owner:read": impersonate(owner.user, by=session, request=ImpersonationRequest(reason="ticket 1"))[1],
        "as-owner:write": impersonate(
            owner.user, by=session, request=ImpersonationRequest(reason="ticket 2", write=True)
        )[1],
    }


def _keys(team: Team, owner: Person) -> dict[str, str]:
    return {f"key:{scope}": create_api_key(team, owner, scope)[1] for scope in Scope}


def _ids(team: Team, owner: Person, name: str) -> dict[str, str]:
    """Of each kind one that is there. The plan has no limits, which these tests are not about."""
    checkout = checkouts.start_checkout(owner.user, plan_id="scale")
    key, _ = create_api_key(team, owner)
    invitation = invitations.invite(actor_for(team, owner), email=f"{name.lower()}@example.org", role=Role.MEMBER)
    card = payment_methods.add_payment_method(owner.user, type="card", provider="visa", last4="4242")
    return {
        "team_id": team.id,
        "user_id": owner.user.id,
        "invitation_id": invitation.id,
        "key_id": key.id,
        "sid": owner.session_id,
        "event_id": "evt_1",
        "impersonation_id": "imp_none",
        "batch_id": "rpl_none",
        "override_id": "ovr_none",
        "mail_id": str(Mail.objects.filter(recipient=owner.user.email).values_list("pk", flat=True)[0]),
        "price_id": "0",
        "move_id": "0",
        "invoice_id": Invoice.objects.for_owner(owner.user).get().pk,
        "customer_id": Subscription.objects.for_owner(owner.user).get().customer_id,
        "subscription_id": Subscription.objects.for_owner(owner.user).get().pk,
        "provider": "github",
        "checkout_id": checkout.pk,
        "payment_method_id": card.pk,
        **objects_of_added_modules(team, owner, name),
    }


def objects_of_added_modules(team: Team, owner: Person, name: str) -> dict[str, str]:
    """Made by ``tenant_objects`` in each module's ``tests/tenants.py``; ``name`` stands in their names."""
    files = added_module_files("saas", "tests.tenants")
    return {key: id for file in files for key, id in file.tenant_objects(team, owner, name).items()}
