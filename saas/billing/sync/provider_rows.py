"""Finding and writing the row of a provider's object: in the usual case one statement to find it, and one if it changed."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import models

from saas.billing.models import Customer, Invoice, PaymentMethod, Price, Product, Subscription
from saas.database.prepared_queries import PreparedQuery, QueryParameter, binary_cursor

M = TypeVar("M", bound=models.Model)


def _by_external_id(rows: Callable[[], "models.QuerySet[M]"]) -> PreparedQuery[M]:
    return PreparedQuery(lambda: rows().filter(external_id=QueryParameter("external_id")), cursor=binary_cursor)


def _locked(model: type[M]) -> PreparedQuery[M]:
    return _by_external_id(lambda: model._default_manager.select_for_update(no_key=True))


_LOCKED: dict[type[models.Model], PreparedQuery[Any]] = {
    model: _locked(model) for model in (Customer, Subscription, Invoice, PaymentMethod, Price, Product)
}
_CUSTOMERS = _by_external_id(Customer.objects.all)
_PRICES = _by_external_id(Price.objects.all)


def lock_row(model: type[M], external_id: str) -> M | None:
    """The object's row, held until the transaction ends."""
    return _LOCKED[model].fetch_first(external_id=external_id)


def find_price(external_id: str) -> Price | None:
    return _PRICES.fetch_first(external_id=external_id)


def get_or_insert_customer(external_id: str, new: Callable[[], Customer]) -> Customer:
    """The customer's row, not held. ``new`` makes one if there is none."""
    return _CUSTOMERS.fetch_first(external_id=external_id) or _inserted(_CUSTOMERS, new())


def upsert_row(
    model: type[M], external_id: str, values: dict[str, Any], first: Callable[[], dict[str, Any]] = dict
) -> M:
    """Make the object's row have ``values``, by attribute names, and ``first`` besides if there is none yet."""
    row = lock_row(model, external_id) or _inserted(_LOCKED[model], model(external_id=external_id, **values, **first()))
    return update_row(row, values)


def update_row(row: M, values: dict[str, Any]) -> M:
    """A row that has them already is not written. The caller holds it."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        row.save(update_fields=changed)
    return row


def _inserted(rows: PreparedQuery[M], new: M) -> M:
    """Whoever else has inserted it meanwhile was faster, and theirs is the row: no error, and no savepoint for it."""
    type(new)._default_manager.bulk_create([new], ignore_conflicts=True)
    [row] = rows.fetch_all(external_id=new.external_id)  # type: ignore[attr-defined]  # each mirror has it
    return row
