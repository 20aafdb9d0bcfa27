"""Render a page: the context of the base template, its language, and a policy without inline scripts and styles."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone, translation

from saas.accounts.models import User
from saas.api.pages.brand import current_brand

_POLICY = (
    "default-src 'self'; style-src 'self'{styles}; img-src 'self' data:{images}; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    person: User | None = None,
    images: str = "",
    styles: str = "",
) -> HttpResponse:
    """``person`` is who is logged in, for the header, the language and the time zone; ``images`` and ``styles`` are more sources
    for the policy."""
    base = {
        "brand": current_brand(),
        "service": settings.SERVICE,
        "has_front_pages": settings.SERVICE == "product" and settings.FRONT_PAGES,
        "person": person,
    }
    zone = person.time_zone if person else timezone.get_current_timezone()
    with translation.override(page_language(request, person)), timezone.override(zone):
        html = render_to_string(template, {**base, **(context or {})}, request)
        language = translation.get_language()
    logo = urlsplit(settings.BRAND_LOGO)
    sources = [f"{logo.scheme}://{logo.netloc}"] if logo.netloc else []
    policy = _POLICY.format(images=" ".join(["", *sources, images]).rstrip(), styles=f" {styles}".rstrip())
    headers = {"Content-Security-Policy": policy, "Content-Language": language or "en"}
    return HttpResponse(html, status=status, headers=headers)


def page_language(request: HttpRequest, person: User | None) -> str:
    """The language of the person's account, else the first of the browser's that there is."""
    if person:
        try:
            return translation.get_supported_language_variant(person.locale)
        except LookupError:
            pass
    return translation.get_language_from_request(request)
