"""What we hold about a person: the register of who can tell it, and who can make it go.

An app that holds something says so in its ``personal_data.py``, found at start-up like ``webhook_handlers.py``:

    holds(Profile, "user", name="profile", export=profile_of, erase=forget_profile)

Each model that leads to a person has a line, if only to say why something is kept or not told: a test compares.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import timezone

from saas.accounts.models import User


@dataclass(frozen=True)
class Not:
    """Not told, or not erased, and why."""

    because: str


Export = Callable[[User], Any]  # plain values, lists and dictionaries of them
Erase = Callable[[User], None]
Objection = Callable[[User], None]


@dataclass(frozen=True)
class Holding:
    """What one model holds of a person, and the fields that lead to her. ``name`` is its place in the export."""

    model: type[models.Model]
    links: tuple[str, ...]
    name: str
    export: Export | Not
    erase: Erase | Not


_holdings: list[Holding] = []
_objections: list[Objection] = []
_needs_of_others: list[Objection] = []


def holds(model: type[models.Model], *links: str, name: str, export: Export | Not, erase: Erase | Not) -> None:
    """Register a model. Erasers run in the reverse order of registration: what stands on top goes first."""
    _holdings.append(Holding(model, links, name, export, erase))


def objects(objection: Objection) -> Objection:
    """Register a function that raises a ``DomainError`` while an account cannot be given up."""
    _objections.append(objection)
    return objection


def objects_for_others(objection: Objection) -> Objection:
    """The same for the sake of other people. It does not keep somebody from disowning an account that was never hers."""
    _needs_of_others.append(objection)
    return objection


def holdings() -> tuple[Holding, ...]:
    return tuple(_holdings)


def export(user: User) -> dict[str, Any]:
    """Everything that is told, under the names of the holdings."""
    told = {holding.name: holding.export(user) for holding in _holdings if not isinstance(holding.export, Not)}
    return {"user_id": user.id, "exported_at": timezone.now(), "personal_data": told}


def require_unobjected(user: User) -> None:
    """Raise the first refusal of an app that still needs the account. Call it inside the action's transaction."""
    require_nothing_paid_for(user)
    for objection in _needs_of_others:
        objection(user)


def require_nothing_paid_for(user: User) -> None:
    """The same, but for the refusals that are there for the sake of other people."""
    for objection in _objections:
        objection(user)


def erase_all(user: User) -> None:
    """Run every eraser, inside the caller's transaction."""
    for holding in reversed(_holdings):
        if not isinstance(holding.erase, Not):
            holding.erase(user)


def rows(found: models.QuerySet[Any], *fields: str) -> list[dict[str, Any]]:
    """The given fields of the rows, oldest first."""
    return list(found.order_by("pk").values(*fields))


def only(found: models.QuerySet[Any], *fields: str) -> dict[str, Any] | None:
    """The same of the one row that there may be."""
    return found.values(*fields).first()


def addresses_of(user: User) -> set[str]:
    """Her address, and the earlier ones that she proved by a mailed link."""
    proven: Iterable[str] = user.proofs.exclude(used_at=None).values_list("email", flat=True)
    return {user.email, *proven}
