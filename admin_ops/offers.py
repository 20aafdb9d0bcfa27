"""The actions that a page offers for a row: those that the member of staff may do, and that suit the row."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote, unquote
from django.db.models import Model
from django.urls import reverse

from admin_ops.actions import actions_for
from admin_ops.actions.base import StaffAction
from saas.accounts.staff.staff_roles import StaffPermission


@dataclass(frozen=True)
class OfferedAction:
    """A button: ``link`` leads to the action's page."""

    action: StaffAction
    link: str


@dataclass(frozen=True)
class OfferedRow:
    """A row in a list of a page, with its own buttons."""

    row: Any
    offers: list[OfferedAction]


def offers_of(row: Model, permissions: Collection[StaffPermission], *, back: str = "") -> list[OfferedAction]:
    """Afterwards an action leads to ``back``, if that is given, else to the row's page."""
    offers = (offer_of(row, action, permissions, back=back) for action in actions_for(type(row)))
    return [offer for offer in offers if offer]


def offer_of(
    row: Model, action: StaffAction, permissions: Collection[StaffPermission], *, back: str = ""
) -> OfferedAction | None:
    is_offered = action.permission in permissions and action.available_for(row)
    return OfferedAction(action, _link(row, action, back)) if is_offered else None


def with_offers(rows: Collection[Any], permissions: Collection[StaffPermission], *, back: str) -> list[OfferedRow]:
    return [OfferedRow(row, offers_of(row, permissions, back=back)) for row in rows]


def address_key(key: Any) -> str:
    """A row's key in an address of Django admin, which reads the ``_24`` of a plan ``pro_24`` as a dollar: such a key is
    quoted. All others stay as they are."""
    text = str(key)
    return quote(text) if unquote(text) != text else text


def _link(row: Model, action: StaffAction, back: str) -> str:
    page = reverse(
        f"admin:{row._meta.app_label}_{row._meta.model_name}_action", args=[address_key(row.pk), action.name]
    )
    return f"{page}?{urlencode({'back': back})}" if back else page
