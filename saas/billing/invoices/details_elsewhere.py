"""Taking over the billing details that customers give on the provider's own pages: checkout and portal.

The later change counts, here or there. When it happened there, the stored events say: it is the time of the first that shows
it. What was changed here and is not sent yet may cross an event about what was sent before it, so it wins for a moment longer.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db.models import Q

from saas.accounts.models import User
from saas.billing.invoices.tax_ids import KINDS
from saas.billing.models import BillingDetails, Customer, TaxId
from saas.billing.models.billing_details import ADDRESS_FIELDS, LONGEST_NAME, LONGEST_TAX_ID
from saas.billing.sync import event_history
from saas.billing.sync.event_order import StoredEvent, order_events
from saas.billing.sync.projections.customers import customer_snapshots
from saas.security.untrusted_json import JSONObject, as_object, as_text

T = TypeVar("T")

_EARLIEST = datetime.fromtimestamp(0, UTC)
SENDING = timedelta(minutes=2)  # how long a call to the provider may be on its way


def take_over_customer(customer: Customer, shown: JSONObject | None = None) -> None:
    """Take over address and company name. ``shown`` is the customer as an event shows it: most show nothing of either."""
    row = _stored_details(customer)
    if row is None and shown is not None and not (_address(shown) or _names(shown) - {"", customer.told_name}):
        return
    person = _active_person(customer)
    stored = customer_snapshots(event_history.stored_events(customer.external_id, "customer."))
    snapshots, _is_ambiguous = order_events(stored, facets=repr, rank=lambda _: 0)
    if person is None or not snapshots:
        return
    row = row or _new_details(customer)
    changes: dict[str, Any] = {}
    address, at = _last_change(snapshots, _address)
    if address != row.address and _is_later(at, row, customer):
        changes |= {**dict.fromkeys(ADDRESS_FIELDS, ""), **address, "had_address": False}
    has_tax_id = customer.tax_ids.live().exists()
    company, at = _last_change(
        snapshots, partial(_company, person=person, known=row.company_name, has_tax_id=has_tax_id)
    )
    is_told = customer.told_name in {"", person}  # else a name of theirs is on its way
    if is_told and company != row.company_name and _is_later(at, row, customer):
        changes["company_name"] = company
    _write(row, changes, customer)


def take_over_tax_ids(customer: Customer) -> None:
    """Take over the newest tax id there, or that the one shown here was deleted there. Of kinds that we do not take none."""
    row = _stored_details(customer) or _new_details(customer)
    rows = [one for one in customer.tax_ids.order_by("created_at", "pk") if _can_be_shown(one)]
    live = [one for one in rows if one.deleted_at is None]
    shown = [one for one in rows if (one.kind, one.value) == (row.tax_id_kind, row.tax_id)]
    newest = live[-1:]
    gone = [] if set(shown) & set(live) else [one.deleted_at for one in shown if one.deleted_at]
    times = [*gone, *(one.created_at for one in newest if one not in shown)]
    if not times or not _is_later(max(times), row, customer) or _active_person(customer) is None:
        return
    kind, value = (newest[0].kind, newest[0].value) if newest else ("", "")
    changes = {"tax_id_kind": kind, "tax_id": value, "had_tax_id": False, "tax_id_refusal": ""}
    _write(row, changes, customer)


def _can_be_shown(row: TaxId) -> bool:
    return row.kind in KINDS and 0 < len(row.value) <= LONGEST_TAX_ID


def wait_to_be_sent(customer: Customer) -> bool:
    """Whether details that were saved here have not reached the provider: its answer is older than they are."""
    row = BillingDetails.objects.for_customer(customer).first()
    return row is not None and not _is_sent(row, customer)


def _is_sent(row: BillingDetails, customer: Customer) -> bool:
    return customer.told_details_at is not None and customer.told_details_at >= row.changed_at


def _stored_details(customer: Customer) -> BillingDetails | None:
    return BillingDetails.objects.for_customer(customer).select_for_update().first()


def _new_details(customer: Customer) -> BillingDetails:
    """Not stored yet, and changed here before anything was there."""
    return BillingDetails(user_id=customer.user_id, team_id=customer.team_id, changed_at=_EARLIEST)


def _active_person(customer: Customer) -> str | None:
    """What the owner is called, or the team's owner; ``None`` where the customer has no owner any more."""
    known = Customer.objects.current().filter(pk=customer.pk, deleted_at=None).exclude(team__deleted_at__isnull=False)
    row = known.with_profile().filter(Q(profile_status=User.Status.ACTIVE)).first()
    return row.profile_name if row else None  # type: ignore[attr-defined]  # with_profile()


def _last_change(snapshots: Sequence[StoredEvent], read: Callable[[JSONObject], T]) -> tuple[T, datetime]:
    """What the last snapshot shows, and when it came to be so."""
    values = [(read(event.object), event.created) for event in snapshots]
    value, created = values[-1]
    for earlier, at in reversed(values):
        if earlier != value:
            break
        created = at
    return value, datetime.fromtimestamp(created, UTC)


def _is_later(at: datetime, row: BillingDetails, customer: Customer) -> bool:
    is_stored = not row._state.adding
    return at > row.changed_at + (SENDING if is_stored and not _is_sent(row, customer) else timedelta())


def _write(row: BillingDetails, changes: dict[str, Any], customer: Customer) -> None:
    """``changed_at`` stays, the time of the last change here: the provider need not be told, and what else was changed there
    is compared with it, too."""
    if not changes:
        return
    is_new = row._state.adding
    for name, value in changes.items():
        setattr(row, name, value)
    row.save()
    if is_new:
        Customer.objects.filter(pk=customer.pk).update(told_details_at=row.changed_at)


def _address(shown: JSONObject) -> dict[str, str]:
    there = as_object(shown.get("address"))
    return {name: text for name, longest in ADDRESS_FIELDS.items() if (text := as_text(there.get(name), longest))}


def _name(shown: JSONObject) -> str:
    return as_text(shown.get("name"), LONGEST_NAME)


def _names(shown: JSONObject) -> set[str]:
    return {_name(shown), as_text(shown.get("business_name"), LONGEST_NAME)}


def _company(shown: JSONObject, *, person: str, known: str, has_tax_id: bool) -> str:
    """``business_name`` where Stripe has asked for one; else, of who has a tax id, a name that is not the person's. People type
    their own name in more ways than one. ``known`` is the company's name here, which was sent as the name."""
    if business := as_text(shown.get("business_name"), LONGEST_NAME):
        return business
    name = _name(shown)
    is_company = name == known or (has_tax_id and name.casefold() != person.casefold())
    return name if is_company else ""
