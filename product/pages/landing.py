"""``/``: what this is, what it costs, and how to begin. Its text is one template, for you to replace."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from product.pages.base import Page
from saas.api.pages.errors import accepts_html
from saas.api.pages.start import start_answer

MAX_QUERY = 20


class LandingPage(Page):
    template = "product/pages/landing.html"

    def get(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        answer = self.render() if accepts_html(request) else start_answer()
        answer.headers["Vary"] = "Accept"
        return answer

    def context(self) -> dict[str, Any]:
        return _prices(self.request) if settings.BILLING else {}


def _prices(request: HttpRequest) -> dict[str, Any]:
    from product.billing.price_table import price_table  # not imported where nothing is sold

    wanted = {name: request.GET.get(name, "")[:MAX_QUERY] for name in ("interval", "currency")}
    table = price_table(**wanted)

    def address(**change: str) -> str:
        return "?" + urlencode({"interval": table.interval, "currency": table.currency} | change)

    return {
        "table": table,
        "intervals": [(name, address(interval=name)) for name in table.intervals],
        "currencies": [(name, address(currency=name)) for name in table.currencies],
    }
