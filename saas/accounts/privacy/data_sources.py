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
class Exempt:
    """Not told, or not erased, and why."""

    reason: str


Export = Callable[[User], Any]  # plain values, lists and dictionaries of them
Erase = Callable[[User], None]
DeletionBlocker = Callable[[User], None]


@dataclass(frozen=True)
class PersonalDataSource:
    """What one model holds of a person, and the fields that lead to her. ``name`` is its place in the export."""

    model: type[models.Model]
    links: tuple[str, ...]
    name: str
    export: Export | Exempt
    erase: Erase | Exempt


_sources: list[PersonalDataSource] = []
_blockers: list[DeletionBlocker] = []
_shared_blockers: list[DeletionBlocker] = []


def register_personal_data(
    model: type[models.Model], *links: str, name: str, export: Export | Exempt, erase: Erase | Exempt
) -> None:
    """Register a model. Erasers run in the reverse order of registration: what stands on top goes first."""
    _sources.append(PersonalDataSource(model, links, name, export, erase))


def register_deletion_blocker(objection: DeletionBlocker) -> DeletionBlocker:
    """Register a function that raises a ``DomainError`` while an account cannot be given up."""
    _blockers.append(objection)
    return objection


def register_shared_deletion_blocker(objection: DeletionBlocker) -> DeletionBlocker:
    """The same for the sake of other people. It does not keep somebody from disowning an account that was never hers."""
    _shared_blockers.append(objection)
    return objection


def personal_data_sources() -> tuple[PersonalDataSource, ...]:
    return tuple(_sources)


def export_personal_data(user: User) -> dict[str, Any]:
    """Everything that is told, under the names of the holdings."""
    told = {holding.name: holding.export(user) for holding in _sources if not isinstance(holding.export, Exempt)}
    return {"user_id": user.id, "exported_at": timezone.now(), "personal_data": told}


def require_deletable(user: User) -> None:
    """Raise the first refusal of an app that still needs the account. Call it inside the action's transaction."""
    require_no_payments(user)
    for objection in _shared_blockers:
        objection(user)


def require_no_payments(user: User) -> None:
    """The same, but for the refusals that are there for the sake of other people."""
    for objection in _blockers:
        objection(user)


def erase_personal_data(user: User) -> None:
    """Run every eraser, inside the caller's transaction."""
    for holding in reversed(_sources):
        if not isinstance(holding.erase, Exempt):
            holding.erase(user)


def export_rows(found: models.QuerySet[Any], *fields: str) -> list[dict[str, Any]]:
    """The given fields of the rows, oldest first."""
    return list(found.order_by("pk").values(*fields))


def export_row(found: models.QuerySet[Any], *fields: str) -> dict[str, Any] | None:
    """The same of the one row that there may be."""
    return found.values(*fields).first()


def email_addresses_of(user: User) -> set[str]:
    """Her address, and the earlier ones that she proved by a mailed link."""
    proven: Iterable[str] = user.one_time_tokens.exclude(used_at=None).values_list("email", flat=True)
    return {user.email, *proven}
