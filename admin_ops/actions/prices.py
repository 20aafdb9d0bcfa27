"""Moving those who pay an earlier version of a price to the one that is sold now."""

from datetime import datetime

from admin_ops.actions.base import (
    ActionContext,
    ActionResult,
    AuditLabel,
    Effect,
    Endpoint,
    StaffAction,
    Target,
)
from admin_ops.actions.catalogue import PRICE
from admin_ops.actions.forms import MovePriceForm
from admin_ops.serializers import prices as shapes
from admin_ops.serializers.users import ReasonBody
from admin_ops.status_colors import WARN
from saas.accounts.staff.staff_roles import StaffPermission
from saas.billing.catalogue import price_moves
from saas.billing.catalogue.price_moves import PriceMoveEnded, PriceMovePlanned
from saas.billing.models import Price, PriceMove
from saas.billing.providers import ProviderRefused, ProviderUnavailable

MOST_SHOWN = 50  # the API's preview has all


PRICE_MOVE = Target(
    PriceMove, StaffPermission.READ_BILLING, lambda row_id: PriceMove.objects.filter(pk=row_id).with_prices().first()
)


def move_price(row: Price, context: ActionContext, *, effective_at: datetime, reason: str) -> ActionResult:
    new = price_moves.current_version(row)
    move = price_moves.schedule_price_move(row, new, effective_at=effective_at, reason=reason, by=context.user)
    return ActionResult(
        f"{move.steps.count()} subscriptions move on {effective_at:%-d %b %Y}; their payers are told.", move
    )


def _effect(row: Price, *, effective_at: datetime) -> Effect:
    payers = price_moves.preview_price_move(row, price_moves.current_version(row))
    shown = [
        f"{payer.subscription.customer}: {payer.will_pay} instead of {payer.pays}, which they pay since {payer.since:%-d %b %Y}."
        for payer in payers[:MOST_SHOWN]
    ]
    return Effect((f"{len(payers)} subscriptions move on {effective_at:%-d %b %Y}.", *shown))


MOVE_PRICE = StaffAction(
    name="move",
    target=PRICE,
    label="Move its payers",
    icon="price_change",
    description="Who pays this earlier price pays what is sold now from the first renewal after that day on. All of them are "
    "told by mail at once. No customer is charged in the middle of a period.",
    permission=StaffPermission.REFUND,
    run=move_price,
    form=MovePriceForm,
    effect=_effect,
    available_for=lambda row: row.plan_id is not None and not row.is_current,
    is_billing=True,
    audit=(
        AuditLabel("price.move_scheduled", "Payers of a price to be moved", WARN, "price_change"),
        AuditLabel("subscription.price_moved", "Moved to the present price", WARN, "price_change"),
    ),
    endpoint=Endpoint(
        path="prices/<str:price_id>/move",
        operation_id="staff_price_move",
        summary="Move who pays an earlier price to the present one",
        description="On a day at least two weeks ahead. All of them are told by mail at once; the preview lists them.",
        tag="billing",
        body=shapes.MovePriceBody,
        status=201,
        response=shapes.OnePriceMoveShape,
        represent=lambda move: {"move": shapes.represent_move(move)},
        refusals=(PriceMovePlanned, ProviderRefused, ProviderUnavailable),
    ),
)


def call_off(row: PriceMove, context: ActionContext, *, reason: str) -> ActionResult:
    return ActionResult(
        "No further subscription is moved.", price_moves.call_off_price_move(row, reason=reason, by=context.user)
    )


CALL_OFF_MOVE = StaffAction(
    name="call-off",
    target=PRICE_MOVE,
    label="Call it off",
    icon="event_busy",
    description="No further subscription is moved; those that were moved stay at the present price. Customers are not told: "
    "write to them.",
    permission=StaffPermission.REFUND,
    run=call_off,
    available_for=lambda row: row.ended_at is None,
    is_destructive=True,
    is_billing=True,
    audit=(AuditLabel("price.move_called_off", "Move of a price called off", WARN, "event_busy"),),
    endpoint=Endpoint(
        path="price-moves/<str:move_id>/call-off",
        operation_id="staff_price_move_call_off",
        summary="Call a move of a price off",
        tag="billing",
        body=ReasonBody,
        response=shapes.OnePriceMoveShape,
        represent=lambda move: {"move": shapes.represent_move(move)},
        refusals=(PriceMoveEnded,),
    ),
)
