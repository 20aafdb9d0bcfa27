"""Middleware of this service only."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from saas.api.middleware import GetResponse
from saas.webhook_events.metrics import REJECTED
from webhooks.intake.view import STRIPE_PATH


class TooLargeMiddleware:
    """Counts deliveries over the limit: ``InputGuardMiddleware`` refuses them, before the view that counts the others."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == 413 and request.method == "POST" and request.path_info == STRIPE_PATH:
            REJECTED.labels("too_large").inc()
        return response
