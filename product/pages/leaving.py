"""Lead to another site after a POST.

A redirect would do, but Chromium holds the redirects of a form to ``form-action``, which names our own origin only.
"""

from django.http import HttpRequest, HttpResponse

from saas.accounts.models import User
from saas.api.pages.rendering import render_page


def lead_away(request: HttpRequest, url: str, *, person: User | None = None) -> HttpResponse:
    """A page that goes on to ``url`` at once, with a link for browsers that do not."""
    return render_page(request, "product/pages/leaving.html", {"url": url}, person=person)
