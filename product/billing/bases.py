"""The base of billing's views: it refuses card numbers, and finds the owner that a request is about."""

from collections.abc import Iterator, Sequence
from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from saas.api.api_key_authentication import API_KEY_CLASSES, ApiKeyCredential
from saas.api.authentication import CustomerBearer, CustomerCookie
from saas.api.views import CustomerView
from saas.billing.models import Owner
from saas.errors import NotFound
from saas.security import card_numbers
from saas.teams.actors import Actor
from saas.teams.models import Membership
from saas.teams.roles import Permission

_CARD_SENTENCE = "This looks like a card number. Never send one here; the last four digits are enough."


class BillingView(CustomerView):
    """Refuse a body or query that holds a card number, in a known field or not, before it is read or logged."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        came = [request.data, dict(request.query_params.lists()), {"Idempotency-Key": idempotency_key(request)}]
        if found := card_number_faults(came):
            raise ValidationError(found)

    def owner(self, team_id: str, permission: Permission = Permission.MANAGE_BILLING) -> Owner:
        """The caller, or their team: 404 if they are not a member, 403 without the permission."""
        if not team_id:
            return self.user
        membership = Membership.objects.for_user(self.user).filter(team=team_id).first()
        if membership is None:
            raise NotFound
        Actor(membership).require(permission)
        return membership.team


class KeyedBillingView(BillingView):
    """Accept a team's API key, too: programs read what their team's plan allows."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (*API_KEY_CLASSES, CustomerBearer, CustomerCookie)

    def owner(self, team_id: str, permission: Permission = Permission.MANAGE_BILLING) -> Owner:
        """With a key always the key's team; 404 if another is named."""
        if not isinstance(self.request.auth, ApiKeyCredential):
            return super().owner(team_id, permission)
        key = self.request.auth.key
        membership = Membership.objects.for_user(self.user).filter(team=key.team_id).first()
        if membership is None or team_id not in {"", key.team_id}:
            raise NotFound
        Actor(membership, key).require(permission)
        return membership.team


def card_number_faults(came: list[Any]) -> dict[str, list[str]]:
    """The fields of what was sent that hold a card number, with a sentence each."""
    return {
        path: [_CARD_SENTENCE]
        for part in came
        for path, text in _texts(part)
        if card_numbers.contains_card_number(text)
    }


def idempotency_key(request: Request) -> str:
    return str(request.META.get("HTTP_IDEMPOTENCY_KEY", ""))


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string and number in a body, with the path of its field. A name that holds a number is not repeated."""
    match value:
        case dict():
            for key, item in value.items():
                name = "a field's name" if card_numbers.contains_card_number(key) else key
                yield name, key
                yield from _texts(item, f"{path}.{name}" if path else name)
        case list():
            for index, item in enumerate(value):
                yield from _texts(item, f"{path}.{index}")
        case str():
            yield path, value
        case int() if not isinstance(value, bool) and abs(value) < 10**19:
            yield path, str(value)
        case float() if value.is_integer() and abs(value) < 10**19:
            yield path, str(int(value))
