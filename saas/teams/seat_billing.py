"""The seats that are paid for follow the members, where a team's plan is sold per seat.

More members are charged at once, for the rest of the period; fewer on the last day of the period, so that the next one costs
less. The members are the queue: a message only says "look now", and the sweep finds what no message came for.
"""

import logging
from datetime import timedelta

from django.db.models import Q, QuerySet

from saas.background_tasks import SLICE_SECONDS, for_a_while
from saas.billing import clock
from saas.billing.models import PendingChange, Price, Subscription
from saas.billing.subscriptions import change_plan, current_subscription, reduce_quantity
from saas.errors import DomainError
from saas.teams.models import Team

logger = logging.getLogger(__name__)

LAST_DAY = timedelta(days=1)  # of the period, on which seats that are not used are given back
_PER_SEAT = Q(price__is_per_unit=True)


def seats_can_grow(team: Team, *, taken: int) -> bool:
    """Whether another seat is bought as soon as it is taken: the team's plan is sold per seat, up to its limit."""
    _, price = _renewing(team)
    if price is None or price.plan is None:
        return False
    most = price.plan.limits.get("seats")
    return most is None or taken < most


def update_seats(team: Team) -> bool:
    """Have the provider charge for as many seats as there are members, if it is time. Returns whether it was asked. May be
    repeated; outside any transaction."""
    members = team.memberships.count()
    _plan_seats(team, members)
    row, price = _renewing(team)
    if row is None or price is None:
        return False
    wanted = price.quantity_for(members)
    if wanted > row.quantity:
        change_plan(team, plan_id=price.plan_id or "", quantity=wanted, by=team.owner)
    elif wanted < row.quantity and row.current_period_end and row.current_period_end - clock.now() <= LAST_DAY:
        reduce_quantity(row, quantity=wanted, by=team.owner)
    else:
        return False
    return True


def _plan_seats(team: Team, members: int) -> None:
    """A change that is planned for the period's end will be made for as many seats as there are members then. What is planned
    for more than there are stays until the last day: people may be about to join."""
    for change in PendingChange.objects.filter(_PER_SEAT, subscription__customer__team=team).select_related("price"):
        wanted = change.price.quantity_for(members)
        if wanted > change.quantity or change.at - clock.now() <= LAST_DAY:
            PendingChange.objects.filter(pk=change.pk).update(quantity=wanted)


def update_all_seats(seconds: float = SLICE_SECONDS) -> int:
    """Update as many teams as there is time for, in random order. Return how many subscriptions were changed."""
    sold = Subscription.objects.live().filter(price_id__in=_per_seat_prices().values("external_id"))
    changed = 0
    planned = PendingChange.objects.filter(_PER_SEAT)
    mine = Q(pk__in=sold.values("customer__team")) | Q(pk__in=planned.values("subscription__customer__team"))
    for team in for_a_while(Team.objects.live().filter(mine).select_related("owner").order_by("?"), seconds):
        try:
            changed += update_seats(team)
        except DomainError as refusal:
            logger.warning("seats_not_updated", extra={"team": team.pk, "refusal": refusal.code})
    return changed


def _renewing(team: Team) -> tuple[Subscription | None, Price | None]:
    """The team's subscription that is paid up and goes on, and its price per seat."""
    row = current_subscription(team)
    if row is None or row.is_canceling or row.status not in Subscription.GRANTING:
        return None, None
    return row, _per_seat_prices().filter(external_id=row.price_id).select_related("plan").first()


def _per_seat_prices() -> QuerySet[Price]:
    return Price.objects.filter(is_per_unit=True, external_id__isnull=False, plan__isnull=False)
