"""Links between the documentation pages of the services."""

from dataclasses import dataclass

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.template import Context

register = template.Library()

_PAGES = {"/docs": "Swagger", "/redoc": "Redoc"}
_NAMES = {"product": "Product", "admin_ops": "Admin ops", "parity": "Parity", "webhooks": "Webhooks"}


@dataclass(frozen=True)
class ServiceLink:
    name: str
    url: str
    is_here: bool


@register.simple_tag(takes_context=True)
def service_links(context: Context) -> list[ServiceLink]:
    """The same page of each service, then the other page of this one, and the document that both show."""
    request: HttpRequest = context["request"]
    here = request.path
    services = [
        ServiceLink(_NAMES[service], base + here, is_here=f"{service}.urls" == settings.ROOT_URLCONF)
        for service, base in settings.SERVICE_BASE_URLS.items()
        if service in _NAMES
    ]
    others = [ServiceLink(name, page, is_here=False) for page, name in _PAGES.items() if page != here]
    return [*services, *others, ServiceLink("openapi.json", "/openapi.json", is_here=False)]
