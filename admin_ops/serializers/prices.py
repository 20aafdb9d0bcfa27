"""Prices that are moved, as staff see them."""

from typing import Any

from rest_framework import serializers

from admin_ops.serializers.access import REASON_LENGTH
from saas.api.fields import StrictCharField
from saas.api.representation import represent
from saas.billing.catalogue.price_moves import Payer
from saas.billing.models import PriceMove


class MovePriceBody(serializers.Serializer[Any]):
    effective_at = serializers.DateTimeField(help_text="At least two weeks ahead.")
    reason = StrictCharField(max_length=REASON_LENGTH)


class PayerShape(serializers.Serializer[Any]):
    subscription_id = serializers.CharField(source="subscription.pk")
    email = serializers.CharField()
    since = serializers.DateTimeField()
    currency = serializers.CharField(source="pays.currency")
    pays = serializers.FloatField(source="pays.units", help_text="For one interval, before discounts and tax.")
    will_pay = serializers.FloatField(source="will_pay.units")


class PriceMovePreviewShape(serializers.Serializer[Any]):
    to_price_id = serializers.IntegerField()
    payers = PayerShape(many=True)


def represent_payer(payer: Payer) -> dict[str, Any]:
    customer = payer.subscription.customer
    return represent(PayerShape, payer, email=customer.user.email if customer.user else customer.email)


class PriceMoveShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    from_price_id = serializers.IntegerField()
    to_price_id = serializers.IntegerField()
    effective_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When all were moved, or it was called off.")
    is_called_off = serializers.BooleanField()
    subscriptions = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="How many are still to be moved.")


class OnePriceMoveShape(serializers.Serializer[Any]):
    move = PriceMoveShape()


def represent_move(move: PriceMove) -> dict[str, Any]:
    return represent(PriceMoveShape, move, subscriptions=move.steps.count(), waiting=move.steps.waiting().count())
