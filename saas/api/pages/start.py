"""``/`` of a service: a page that says what it is and where to go; for a program the same as JSON."""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext_noop as _
from django.views.decorators.http import require_safe

from saas.api.pages.errors import accepts_html
from saas.api.pages.rendering import render_page


@dataclass(frozen=True)
class Link:
    """``text`` says what is there; ``is_internal`` where only ``OPEN_INTERNALS`` shows it."""

    label: str
    address: str
    text: str
    is_internal: bool = False


COMMON_LINKS = (
    Link(_("Documentation"), "/docs", _("Every operation, to read and to try."), is_internal=True),
    Link(_("Schema"), "/openapi.json", _("The OpenAPI document, for generated clients."), is_internal=True),
    Link(_("Health"), "/health", _("Whether this process answers; /health/ready also asks what it needs.")),
)


def start_page(title: str, description: str, *more: Link) -> Callable[[HttpRequest], HttpResponse]:
    """Build the view. ``more`` stands before the links that all services have."""

    @require_safe
    def view(request: HttpRequest) -> HttpResponse:
        context = {"title": title, "description": description, "links": _links(*more)}
        answer = render_page(request, "pages/service.html", context) if accepts_html(request) else start_answer(*more)
        answer.headers["Vary"] = "Accept"
        return answer

    return view


def start_answer(*more: Link) -> HttpResponse:
    """The same for a program."""
    return JsonResponse(
        {"service": settings.SERVICE, "links": {link.label.lower(): link.address for link in _links(*more)}}
    )


def _links(*more: Link) -> list[Link]:
    return [link for link in (*more, *COMMON_LINKS) if settings.OPEN_INTERNALS or not link.is_internal]
