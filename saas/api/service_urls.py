"""URLs that every service has: health, documentation, metrics, and errors as problem documents.

The documentation's assets are served by this process, none by another host.
"""

from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import URLPattern, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.settings import patched_settings
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request

from saas import __version__
from saas.api.health import LiveView, ModulesView, ModuleView, ReadyView
from saas.api.metrics import metrics
from saas.api.pages.brand import brand_icon, brand_stylesheet
from saas.api.views import PublicView
from saas.operations.health import Module

handler400 = "saas.api.problems.bad_request"
handler403 = "saas.api.problems.forbidden"
handler404 = "saas.api.problems.not_found"
handler500 = "saas.api.problems.server_error"


_INTRODUCTION = """{description}

## How to call it

- Bodies are JSON. Times are ISO 8601 in UTC. What ends in `_cents` is in the currency's smallest unit.
- Send `Authorization: Bearer …` where an operation asks for it.
- A list takes `limit` and `cursor`, and answers the `next` cursor; the last page has none.
- A refusal is a problem document (RFC 9457): `code` is stable, `detail` is for people, `errors` names the fields.
- Every answer has an `X-Request-ID`. Name it when you ask us about a call.
"""


class SchemaView(PublicView):
    """The OpenAPI document."""

    renderer_classes = (OpenApiJsonRenderer2, OpenApiJsonRenderer)
    title = ""
    description = ""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        document = _document(settings.ROOT_URLCONF, self.title, self.description)
        return HttpResponse(document, content_type="application/json")


@cache
def _document(urlconf: str, title: str, description: str) -> bytes:
    """Generated once in a process: it takes most of a second and does not change."""
    with patched_settings(
        {"TITLE": title, "DESCRIPTION": _INTRODUCTION.format(description=description), "VERSION": __version__}
    ):
        schema: dict[str, Any] = SchemaGenerator(urlconf=urlconf).get_schema(public=True)
    return OpenApiJsonRenderer().render(schema, renderer_context={})


def common_urls(title: str, description: str, modules: tuple[Module, ...]) -> list[URLPattern]:
    """The routes that the contract gives to all four services."""
    return [
        path("health", LiveView.as_view(), name="health"),
        path("health/ready", ReadyView.as_view(), name="ready"),
        path("api/health", LiveView.as_view(), name="api-health"),
        path("api/health/modules", ModulesView.as_view(modules=modules), name="modules"),
        path("api/health/module/<str:name>", ModuleView.as_view(modules=modules), name="module"),
        path("metrics", metrics, name="metrics"),
        path("openapi.json", SchemaView.as_view(title=title, description=description), name="schema"),
        path("docs", SpectacularSwaggerSplitView.as_view(title=title), name="docs"),
        path("redoc", SpectacularRedocView.as_view(title=title), name="redoc"),
        path("brand.css", brand_stylesheet, name="brand-stylesheet"),
        path("brand.svg", brand_icon, name="brand-icon"),
    ]
