"""The register of personal data: what each app holds about a person, how it is exported and how it is erased.

An app registers its models in its ``personal_data.py``, which is imported at start-up like ``webhook_handlers.py``:

    mine = rows_of(Profile)
    register_personal_data(Profile, "user", name="profile", export=export_fields(mine, "city"), erase=delete_rows(mine))

Every model with a field that leads to a person is registered, if only with the reason why it is not exported or not erased:
a test compares the register with the models.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from saas.accounts.models import User
from saas.accounts.privacy.free_text import erase_quotes
from saas.accounts.privacy.personal_values import PersonalValues
from saas.audit.erasure import find_quoting_events, record_erasure

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exempt:
    """Not exported, or not erased, and the reason, as a sentence."""

    reason: str


Rows = Callable[[User], models.QuerySet[Any]]
Export = Callable[[User], Any]  # returns plain values, lists and dictionaries of them
Erase = Callable[[User, PersonalValues], None]
DeletionBlocker = Callable[[User], None]
AuditedIds = Callable[[User], Iterable[str]]


@dataclass(frozen=True)
class PersonalDataSource:
    """One model that holds personal data. ``links`` are its fields that lead to the person, ``name`` its key in the export."""

    model: type[models.Model]
    links: tuple[str, ...]
    name: str
    export: Export | Exempt
    erase: Erase | Exempt


_sources: list[PersonalDataSource] = []
_audited_ids: list[AuditedIds] = []
_blockers: list[DeletionBlocker] = []
_shared_blockers: list[DeletionBlocker] = []


def register_personal_data(
    model: type[models.Model], *links: str, name: str, export: Export | Exempt, erase: Erase | Exempt
) -> None:
    """Register a model. Erasers run in the reverse order of registration, so that dependent rows go first."""
    _sources.append(PersonalDataSource(model, links, name, export, erase))


def register_audited_ids(ids: AuditedIds) -> AuditedIds:
    """Register a function that returns the ids under which a person's things act, or are acted on, in the audit trail."""
    _audited_ids.append(ids)
    return ids


def register_deletion_blocker(blocker: DeletionBlocker) -> DeletionBlocker:
    """Register a function that raises a ``DomainError`` while an account cannot be deleted because it pays for something."""
    _blockers.append(blocker)
    return blocker


def register_shared_deletion_blocker(blocker: DeletionBlocker) -> DeletionBlocker:
    """Register a function that raises a ``DomainError`` while other people need the account.

    It does not block the removal of an unconfirmed account whose registration was reported as unrecognized.
    """
    _shared_blockers.append(blocker)
    return blocker


def personal_data_sources() -> tuple[PersonalDataSource, ...]:
    return tuple(_sources)


def export_personal_data(user: User) -> dict[str, Any]:
    """Collect everything that is exported, by the names of the sources."""
    exported = {source.name: source.export(user) for source in _sources if not isinstance(source.export, Exempt)}
    return {
        "user_id": user.id,
        "exported_at": timezone.now(),
        "personal_data": exported,
        "kept_after_deletion": kept_after_erasure(),
    }


def require_deletable(user: User) -> None:
    """Raise the first refusal of any blocker. Call it inside the action's transaction."""
    require_no_payments(user)
    for blocker in _shared_blockers:
        blocker(user)


def require_no_payments(user: User) -> None:
    """Raise the first refusal of a blocker that concerns payments; ignore the needs of other people."""
    for blocker in _blockers:
        blocker(user)


def erase_personal_data(user: User, *, action: str) -> None:
    """Run every eraser, inside the caller's transaction, and record that in the audit trail as ``action``. The log names the
    account, too: a restored backup may bring the account back, and does not change the log."""
    values = PersonalValues.of_user(user)
    objects = [id for source in _audited_ids for id in source(user)]
    for source in reversed(_sources):
        if not isinstance(source.erase, Exempt):
            source.erase(user, values)
    erase_quotes(values)
    quoting = find_quoting_events(values.search_parts, values.are_mentioned)
    record_erasure(action, person=user.id, objects=objects, quoting=quoting)
    transaction.on_commit(partial(logger.info, "account_erased", extra={"user": user.id}))


def rows_of(model: type[models.Model], field: str = "user") -> Rows:
    """Select the rows of ``model`` whose ``field`` is the person."""
    return lambda user: model._default_manager.filter(**{field: user})


def export_fields(rows: Rows, *fields: str, order_by: str = "pk") -> Export:
    return lambda user: list(rows(user).order_by(order_by).values(*fields))


def delete_rows(rows: Rows) -> Erase:
    def erase(user: User, values: PersonalValues) -> None:
        rows(user).delete()

    return erase


def export_row(found: models.QuerySet[Any], *fields: str) -> dict[str, Any] | None:
    """Return the given fields of the only row, or None."""
    return found.values(*fields).first()


def kept_after_erasure() -> dict[str, str]:
    """What an erasure leaves, by the names of the sources, each with the reason."""
    return {source.name: source.erase.reason for source in _sources if isinstance(source.erase, Exempt)}
