"""The URLs of the webhooks service, and one whose view never returns."""

import re

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from saas.api.service_urls import handler400, handler403, handler404, handler500
from saas.tests.http.hanging import PATH

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def hang(request: HttpRequest) -> HttpResponse:
    """Match a pattern that backtracks for years, holding the interpreter's lock."""
    re.match(r"(a+)+$", "a" * 60 + "b")
    return HttpResponse()


urlpatterns = [path(PATH[1:], hang), path("", include("webhooks.urls"))]
