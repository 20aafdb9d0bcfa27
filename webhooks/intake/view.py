"""The intake of the provider's deliveries, as a Django view. ``short_path`` answers most of them before they reach it."""

from json.encoder import encode_basestring_ascii as _as_json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from saas.api.client_address import client_address
from saas.api.openapi.schema_generation import problem_responses
from saas.api.problems import exception_handler
from saas.api.rate_limits import MINUTE, RateLimit, TooManyRequests, by_address, count_request, require_within_limit
from saas.api.views import PublicView
from saas.webhook_events import actions
from saas.webhook_events.actions import InvalidSignature, UnreadableEvent
from webhooks import serializers as shapes

STRIPE_PATH = "/api/webhooks/stripe"
STRIPE_ROUTE = STRIPE_PATH[1:]
BAD_SIGNATURES = RateLimit("bad-signature", 60, MINUTE, by_address)
_SIGNATURE_HEADER = OpenApiParameter(
    "Stripe-Signature", str, OpenApiParameter.HEADER, description="`t=<seconds>,v1=<hex HMAC-SHA256 of t.body>`"
)
_KEPT_HEADERS = {
    "Content-Type": "CONTENT_TYPE",
    "Content-Encoding": "HTTP_CONTENT_ENCODING",
    "User-Agent": "HTTP_USER_AGENT",
}


class StripeView(PublicView):
    """Takes an event in: 202 as soon as it is committed. What it means is worked out afterwards.

    Only deliveries that are refused count against the address they come from: a provider's burst passes.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Handle a POST without DRF: nothing that it does is needed here, and it would take longer than the rest."""
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)
        try:
            return self.post(request)
        except Exception as error:
            if problem := exception_handler(error, {}):
                return problem
            raise

    @extend_schema(
        operation_id="stripe_webhook",
        summary="Take in an event",
        parameters=[_SIGNATURE_HEADER],
        request=shapes.EventBody,
        responses={202: shapes.ReceiptShape, **problem_responses(InvalidSignature, UnreadableEvent, TooManyRequests)},
        tags=["webhooks"],
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            body = request.body  # ``InputGuardMiddleware`` has read a chunked one and refused one over the limit
        except (UnreadablePostError, OSError) as error:
            raise ParseError("The body did not arrive.") from error
        try:
            receipt = actions.accept_delivery(
                body,
                signature=request.META.get("HTTP_STRIPE_SIGNATURE"),
                headers={name: request.META.get(key, "") for name, key in _KEPT_HEADERS.items()},
                address=client_address(request),
            )
        except (actions.InvalidSignature, actions.UnreadableEvent):
            if usage := count_request(BAD_SIGNATURES, Request(request)):
                require_within_limit(usage)
            raise
        return HttpResponse(receipt_json(receipt), status=202, content_type="application/json")


def receipt_json(receipt: actions.Receipt) -> bytes:
    """The body of a 202, formatted by hand: a JSON encoder takes four times as long."""
    event_id = _as_json(receipt.event_id)
    if receipt.is_new:
        return f'{{"status":"accepted","event_id":{event_id}}}'.encode()
    counts = f'"attempts":{receipt.attempts},"replay_count":{receipt.replay_count}'
    return f'{{"status":"duplicate","event_id":{event_id},{counts}}}'.encode()
