"""Teams, members and API keys for tests."""

from dataclasses import replace

from django.utils import timezone

from saas.accounts.models import User
from saas.teams import actions, api_keys
from saas.teams.actors import Actor
from saas.teams.models import ApiKey, Membership, Team
from saas.teams.roles import Role, Scope
from saas.testing.factories import user_factories
from saas.testing.factories.user_factories import Person


def with_verified_email(person: Person) -> Person:
    """Return the same person with a verified address."""
    User.objects.filter(pk=person.user.pk).update(email_verified_at=timezone.now())
    return replace(person, user=User.objects.get(pk=person.user.pk))


def create_team(owner: Person, name: str = "Engineering") -> Team:
    return actions.create_team(name=name, owner=owner.user).team


def add_member(team: Team, role: Role, person: Person | None = None) -> Person:
    """Add a member with this role (a new customer by default), regardless of the plan's seats."""
    person = person or with_verified_email(user_factories.create_customer())
    Membership.objects.create(team=team, user=person.user, role=role)
    return person


def actor_for(team: Team, person: Person) -> Actor:
    return Actor(Membership.objects.for_user(person.user).get(team=team))


def create_api_key(team: Team, owner: Person, *scopes: Scope) -> tuple[ApiKey, str]:
    """Create an API key; return its row and the key. ``owner`` must be verified."""
    return api_keys.create_api_key(actor_for(team, owner), name="CI", scopes=scopes or [Scope.READ], expires_in_days=30)
