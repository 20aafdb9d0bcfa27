"""Every address of the webhooks service, and one whose view never returns."""

import re

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from saas.api.service_urls import handler400, handler403, handler404, handler500
from saas.tests.http.hanging import PATH

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def hang(request: HttpRequest) -> HttpResponse:
    """A pattern that backtracks for years, and never lets go of the interpreter's lock meanwhile."""
    re.match(r"(a+)+$", "a" * 60 + "b")
    return HttpResponse()


urlpatterns = [path(PATH[1:], hang), path("", include("webhooks.urls"))]
