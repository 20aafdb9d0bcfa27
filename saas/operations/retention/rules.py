"""The rules of retention: for each table when its rows are deleted, with which other rows, or why they stay.

Rows are deleted in passes along the primary key (``passes``), so a rule needs no index, and no row is beyond its reach.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import ForeignKey, Model, Q

Expired = Callable[[datetime], Q]
DeleteExpired = Callable[[Sequence[Any], datetime], int]

OFTEN = timedelta(minutes=10)


@dataclass(frozen=True)
class DeletionRule:
    """When rows of ``model`` are deleted.

    ``delete(keys, now)`` deletes those of the rows that have expired and returns how many. ``ordered_by`` names a time column
    that grows with the primary key: a pass ends at the first row younger than ``ordered_age``. ``every``: time between passes.
    """

    model: type[Model]
    delete: DeleteExpired
    every: timedelta = OFTEN
    ordered_by: str = ""
    ordered_age: timedelta = timedelta()

    @property
    def table(self) -> str:
        return self.model._meta.db_table


_deletions: dict[type[Model], DeletionRule] = {}
_kept: dict[type[Model], str] = {}  # why
_dependent: dict[type[Model], tuple[str, ...]] = {}  # the foreign keys with whose row they go


def is_past(moment: str, age: timedelta = timedelta()) -> Expired:
    """Rows whose ``moment`` is longer ago than ``age``."""
    return lambda now: Q(**{f"{moment}__lt": now - age})


def delete_when(model: type[Model], expired: Expired) -> None:
    """Delete the rows for which ``expired``, a condition at a given time, is true."""
    register(DeletionRule(model, _deletion(model, expired)))


def delete_older(model: type[Model], moment: str, age: timedelta) -> None:
    """Delete rows whose ``moment``, which grows with the primary key, is longer ago than ``age``: only the oldest are read."""
    register(DeletionRule(model, _deletion(model, is_past(moment, age)), ordered_by=moment, ordered_age=age))


def _deletion(model: type[Model], expired: Expired) -> DeleteExpired:
    def delete(keys: Sequence[Any], now: datetime) -> int:
        return model._base_manager.filter(expired(now), pk__in=keys).delete()[0]

    return delete


def register(rule: DeletionRule) -> None:
    _deletions[rule.model] = rule


def delete_with(model: type[Model], *foreign_keys: str) -> None:
    """Rows go with the row that one of these foreign keys names: the database or Django deletes both."""
    for name in foreign_keys:
        if not isinstance(model._meta.get_field(name), ForeignKey):
            raise TypeError(f"{model.__name__}.{name} is no foreign key.")
    _dependent[model] = foreign_keys


def keep(*models: type[Model], reason: str) -> None:
    """Rows stay. ``reason``: a sentence."""
    _kept.update(dict.fromkeys(models, reason))


def deletion_rules() -> list[DeletionRule]:
    return list(_deletions.values())


def kept_tables() -> dict[type[Model], str]:
    return dict(_kept)


def dependent_tables() -> dict[type[Model], tuple[str, ...]]:
    return dict(_dependent)
